//! What a sensor says, and to whom.

use crate::anomaly::Anomaly;
use crate::apps::Catalogue;
use crate::flow::Flow;
use crate::lore::Nanos;

/// Something odd.
#[derive(Debug)]
pub struct AnomalyEvent<'a> {
    /// What.
    pub anomaly: Anomaly,
    /// When.
    pub time: Nanos,
    /// In which flow, if in one.
    pub flow: Option<&'a Flow>,
}

/// Takes events as they come. Never blocks the packets for long: what is slow buffers and counts its losses.
pub trait Sink {
    /// A flow has ended. Each flow comes here once.
    fn flow(&mut self, flow: &Flow, catalogue: &Catalogue);
    /// Something is odd.
    fn anomaly(&mut self, event: &AnomalyEvent);
    /// Whether events have nowhere to go any more, so that there is no use in reading on.
    fn closed(&self) -> bool {
        false
    }
}

impl<A: Sink, B: Sink> Sink for (A, B) {
    fn flow(&mut self, flow: &Flow, catalogue: &Catalogue) {
        self.0.flow(flow, catalogue);
        self.1.flow(flow, catalogue);
    }

    fn anomaly(&mut self, event: &AnomalyEvent) {
        self.0.anomaly(event);
        self.1.anomaly(event);
    }

    fn closed(&self) -> bool {
        self.0.closed() || self.1.closed()
    }
}

impl<S: Sink> Sink for &mut S {
    fn flow(&mut self, flow: &Flow, catalogue: &Catalogue) {
        (**self).flow(flow, catalogue);
    }

    fn anomaly(&mut self, event: &AnomalyEvent) {
        (**self).anomaly(event);
    }

    fn closed(&self) -> bool {
        (**self).closed()
    }
}
