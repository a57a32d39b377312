//! Follows the journal and groups what repeats into campaigns. It is never in a message's way: when it fails, chat
//! goes on, and it goes on itself where it was.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ::gateway::task::Drain;
use anyhow::Result;
use intel::campaign::{Archive, Changes, Choice, Cursor, Grouper, LIVE, Settings};
use jiff::Timestamp;
use judge::Judge;
use store::{Follow, Stored};
use tracing::{error, info, warn};

use super::decoys::Decoys;
use crate::config::Config;

/// How long a look at the journal waits for a record.
const WAIT: Duration = Duration::from_millis(200);
/// Records taken in before changes are kept.
const BATCH: usize = 512;
/// How often the position is kept when nothing else changed.
const KEEP_EVERY: Duration = Duration::from_secs(10);
/// How long it rests after a failure.
const REST: Duration = Duration::from_secs(5);
/// Records read again at start, or of a journal that was never followed.
const LOOK_BACK: u64 = 200_000;

/// Follows until the drain begins.
pub async fn follow(config: Config, judge: Judge, mut drain: Drain) {
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    let thread = tokio::task::spawn_blocking(move || keep_following(&config, &judge, &told));
    drain.begun().await;
    stop.store(true, Ordering::Relaxed);
    if thread.await.is_err() {
        error!("the follower of campaigns panicked; please report this as a defect");
    }
}

fn keep_following(config: &Config, judge: &Judge, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let followed = Follower::start(config, judge).and_then(|mut follower| follower.run(stop));
        let Err(why) = followed else { return };
        metrics::counter!("portcullis_campaign_faults_total").increment(1);
        error!(why = format!("{why:#}"), "campaigns can't be followed; trying again");
        let since = Instant::now();
        while since.elapsed() < REST && !stop.load(Ordering::Relaxed) {
            std::thread::sleep(WAIT);
        }
    }
}

struct Follower<'a> {
    judge: &'a Judge,
    grouper: Grouper,
    archive: Archive,
    follow: Follow,
    cursor: Cursor,
    kept: Instant,
    decoys: Decoys<'a>,
}

impl<'a> Follower<'a> {
    fn start(config: &'a Config, judge: &'a Judge) -> Result<Follower<'a>> {
        let data: PathBuf = config.data_dir();
        let archive = Archive::open(&data)?;
        let mut cursor = archive.cursor()?;
        let settings = Settings::from(config.intel.campaigns);
        let mut grouper = Grouper::new(settings, archive.going_on(LIVE)?);
        let mut reader = store::reader(&data)?;
        let end = reader.end()?;
        if cursor.position > end {
            warn!("the journal ends before what campaigns were made of; following from its end");
            cursor.position = end;
        }
        if cursor.position == 0 {
            cursor.position = end.saturating_sub(LOOK_BACK);
        }
        let memory = u64::try_from(settings.memory).unwrap_or(LOOK_BACK).min(LOOK_BACK);
        for stored in reader.after(cursor.position.saturating_sub(memory)) {
            let stored = stored?;
            if stored.position > cursor.position {
                break;
            }
            if let Ok(record) = stored.record() {
                grouper.remember(&record, stored.position);
            }
        }
        let follow = reader.follow(cursor.position)?;
        let decoys = Decoys::new(&config.intel.decoys, config, judge);
        decoys.tidy(judge.now());
        Ok(Follower { judge, grouper, archive, follow, cursor, kept: Instant::now(), decoys })
    }

    fn run(&mut self, stop: &AtomicBool) -> Result<()> {
        while !stop.load(Ordering::Relaxed) {
            let mut next = self.follow.next(WAIT)?;
            let mut taken = 0;
            while let Some(stored) = next {
                self.take(&stored);
                taken += 1;
                next = if taken < BATCH { self.follow.next(Duration::ZERO)? } else { None };
            }
            self.take_decisions()?;
            self.keep(false)?;
            self.decoys.respond(&self.grouper);
        }
        self.keep(true)
    }

    fn take(&mut self, stored: &Stored) {
        self.cursor.position = stored.position;
        let Ok(record) = stored.record() else {
            warn!(position = stored.position, "a record does not read; campaigns go on after it");
            return;
        };
        let changes = self.grouper.observe(&record, stored.position, self.judge.now());
        self.tell(&changes);
        self.decoys.contacted(changes.decoyed);
    }

    fn take_decisions(&mut self) -> Result<()> {
        for (number, decision) in self.archive.decisions(self.cursor.decision)? {
            let changes = self.grouper.decide(&decision);
            self.tell(&changes);
            if matches!(decision.choice, Choice::Dismiss { .. }) {
                self.decoys.withdraw(&decision.campaign);
            }
            self.cursor.decision = number;
            self.kept = self.kept.checked_sub(KEEP_EVERY).unwrap_or(self.kept);
        }
        Ok(())
    }

    fn keep(&mut self, whatever: bool) -> Result<()> {
        let changed = self.grouper.take_changed();
        if changed.is_empty() && !whatever && self.kept.elapsed() < KEEP_EVERY {
            return Ok(());
        }
        self.archive.keep(&changed, self.cursor)?;
        self.kept = Instant::now();
        metrics::gauge!("portcullis_campaigns").set(self.grouper.campaigns().count() as f64);
        Ok(())
    }

    fn tell(&self, changes: &Changes) {
        for id in &changes.opened {
            let Some(campaign) = self.grouper.get(id) else { continue };
            let title = campaign.title();
            self.judge.note(&format!("campaign {id} began: {title}"));
            info!(campaign = %id, title, messages = campaign.messages, "a campaign began");
            metrics::counter!("portcullis_campaigns_total").increment(1);
        }
        for (id, into) in &changes.merged {
            self.judge.note(&format!("campaign {id} is part of campaign {into}"));
            info!(campaign = %id, %into, "campaigns turned out to be one");
        }
    }
}

/// Records of the past that drafts are held against: a month of a house of a few hundred people.
pub const WITNESSES: u64 = 1_000_000;

/// A month before a time.
pub fn month_before(now: Timestamp) -> Timestamp {
    now.checked_sub(jiff::SignedDuration::from_hours(31 * 24)).unwrap_or(Timestamp::MIN)
}
