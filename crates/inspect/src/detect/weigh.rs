//! The operator's own weights: a detector around a detector.

use std::collections::BTreeMap;

use model::SymbolInfo;

use super::ConfigError;
use crate::{Case, Detector, Findings};

struct Reweighed {
    inner: Box<dyn Detector>,
    scores: BTreeMap<String, f32>,
}

/// The detectors with scores replaced. Those whose symbols are not named stay as they are.
pub(super) fn reweighed(
    detectors: Vec<Box<dyn Detector>>,
    scores: &BTreeMap<String, f32>,
) -> Result<Vec<Box<dyn Detector>>, ConfigError> {
    for (symbol, score) in scores {
        let field = format!("detect.scores.{symbol:?}");
        if !detectors.iter().flat_map(|d| d.symbols()).any(|info| info.symbol == symbol) {
            return Err(ConfigError::new(field, "no detector raises this symbol; see the reference of symbols"));
        }
        if !(0.0..=100.0).contains(score) {
            return Err(ConfigError::new(field, "a score is between 0 and 100"));
        }
    }
    let wrap = |inner: Box<dyn Detector>| -> Box<dyn Detector> {
        let own = inner.symbols().iter().filter_map(|info| Some((info.symbol.to_owned(), *scores.get(info.symbol)?)));
        let scores: BTreeMap<String, f32> = own.collect();
        if scores.is_empty() { inner } else { Box::new(Reweighed { inner, scores }) }
    };
    Ok(detectors.into_iter().map(wrap).collect())
}

impl Detector for Reweighed {
    fn symbols(&self) -> &'static [SymbolInfo] {
        self.inner.symbols()
    }

    fn inspect(&self, case: &Case<'_>, findings: &mut Findings) {
        let mut own = Findings::default();
        self.inner.inspect(case, &mut own);
        for mut finding in own.into_vec() {
            if let Some(score) = self.scores.get(&*finding.symbol) {
                finding.score = *score;
            }
            findings.push(finding);
        }
    }
}
