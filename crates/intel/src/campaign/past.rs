//! The journal as the witness of what people were allowed to say: reads it for [`Drafting`].

use std::path::Path;

use jiff::Timestamp;

use super::{Draft, Drafting};

/// Holds drafts against the newest records of a data directory's journal, at most so many and none from before
/// `since`; gives the drafts and how many records that were.
pub fn held_against(
    mut drafting: Drafting<'_>,
    data: &Path,
    since: Timestamp,
    most: u64,
) -> Result<(Vec<Draft>, u64), store::Error> {
    let mut looked = 0;
    if !drafting.is_empty() {
        let mut reader = store::reader(data)?;
        let end = reader.end()?;
        for stored in reader.after(end.saturating_sub(most)) {
            let stored = stored?;
            looked += 1;
            // Most records are told by their text; one that does not read says nothing for or against.
            if drafting.may_hit(&stored.json)
                && let Ok(record) = stored.record()
                && record.time >= since
            {
                drafting.witness(&record);
            }
        }
    }
    Ok((drafting.finish(), looked))
}
