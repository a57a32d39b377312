//! Reads capture files and writes what flows they hold as EVE lines: `eve FILE...`.

use std::io;
use std::path::PathBuf;

use sensor::apps::Catalogue;
use sensor::capture::Capture;
use sensor::eve::Eve;
use sensor::{Limits, read};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut eve = Eve::new(io::stdout().lock(), "example");
    for path in std::env::args_os().skip(1).map(PathBuf::from) {
        eve.capture(&path.to_string_lossy());
        let done = Capture::open(&path).map(|mut capture| {
            read::capture(&mut capture, Limits::default(), Catalogue::bundled(), &mut eve, &mut |_, _| {})
        });
        if let Err(error) | Ok(read::Outcome { error: Some(error), .. }) = done {
            eve.damaged(0, &error.to_string());
        }
    }
    eve.flush()?;
    Ok(())
}
