//! What has to be asked of others about a message's files: the file walk on a
//! thread that may block, and the antivirus engine.

use std::fs;
use std::io::{Cursor, Read, Seek};
use std::sync::Arc;
use std::time::Duration;

use inspect::files::{self, Limits};
use inspect::{Answers, Facts, FileAnswer, FileFacts, RuleHit};
use model::{Content, File, Message};
use tokio::sync::Semaphore;

use crate::FileRules;
use crate::clamd::Clamd;

/// The look-ups of a process, bounded in time and number.
pub struct Lookups {
    clamd: Option<Clamd>,
    limits: Limits,
    budget: Duration,
    at_once: Arc<Semaphore>,
}

/// What the bytes of a file say, the rules that match it, and what of them could not be asked.
type Examined = (FileFacts, Vec<RuleHit>, Vec<String>);

fn walk(
    file: &mut (impl Read + Seek),
    name: Option<&str>,
    claimed: Option<&str>,
    limits: &Limits,
    rules: Option<&FileRules>,
) -> Examined {
    match rules {
        Some(rules) => rules.examine(file, name, claimed, limits),
        None => (files::examine(file, name, claimed, limits), Vec::new(), Vec::new()),
    }
}

/// Whether judging has to wait for anything.
pub(crate) fn is_needed(message: &Message) -> bool {
    message.files.iter().any(|file| !matches!(file.content, Content::Offered))
}

impl Lookups {
    /// Look-ups with these bounds, `at_once` of them at a time; antivirus when configured.
    pub fn new(clamd: Option<Clamd>, limits: Limits, budget: Duration, at_once: usize) -> Lookups {
        Lookups { clamd, limits, budget, at_once: Arc::new(Semaphore::new(at_once.max(1))) }
    }

    /// Looks every file up; what fails or takes too long is a fault among the answers.
    pub(crate) async fn look_up(&self, message: &Message, facts: &mut Facts, rules: Option<Arc<FileRules>>) -> Answers {
        let mut answers = Answers::default();
        if !is_needed(message) {
            return answers;
        }
        let looked = tokio::time::timeout(self.budget, async {
            let _turn = self.at_once.acquire().await;
            for (index, file) in message.files.iter().enumerate() {
                match self.examine(file, rules.clone()).await {
                    Ok(Some((examined, rules, slow))) => {
                        answers.faults.extend(slow);
                        let antivirus = self.scan(file, &mut answers.faults).await;
                        answers.files.push(FileAnswer { file: index, facts: examined, antivirus, rules });
                    }
                    Ok(None) => {}
                    Err(fault) => answers.faults.push(fault),
                }
            }
        });
        if looked.await.is_err() {
            answers.faults.push(format!("files were not scanned within {:?}", self.budget));
        }
        for answer in &answers.files {
            facts.keys.extend(answer.facts.keys());
        }
        answers
    }

    async fn examine(&self, file: &File, rules: Option<Arc<FileRules>>) -> Result<Option<Examined>, String> {
        let limits = self.limits;
        let (name, claimed) = (file.name.clone(), file.claimed_type.clone());
        let content = file.content.clone();
        let walked = tokio::task::spawn_blocking(move || {
            let (name, claimed) = (name.as_deref(), claimed.as_deref());
            match content {
                Content::Inline(bytes) => {
                    Ok(Some(walk(&mut Cursor::new(&bytes[..]), name, claimed, &limits, rules.as_deref())))
                }
                Content::Spooled(path) => {
                    let mut spooled = fs::File::open(&path).map_err(|e| format!("can't read the spooled file: {e}"))?;
                    Ok(Some(walk(&mut spooled, name, claimed, &limits, rules.as_deref())))
                }
                Content::Offered => Ok(None),
            }
        });
        walked.await.unwrap_or_else(|_| Err("the file walk failed".to_owned()))
    }

    async fn scan(&self, file: &File, faults: &mut Vec<String>) -> Option<Result<Option<String>, String>> {
        let clamd = self.clamd.as_ref()?;
        let scanned = match &file.content {
            Content::Inline(bytes) => clamd.scan(&mut &bytes[..]).await.map_err(|e| e.to_string()),
            Content::Spooled(path) => match tokio::fs::File::open(path).await {
                Ok(mut spooled) => clamd.scan(&mut spooled).await.map_err(|e| e.to_string()),
                Err(e) => Err(format!("can't read the spooled file: {e}")),
            },
            Content::Offered => return None,
        };
        if let Err(fault) = &scanned {
            faults.push(format!("clamd: {fault}"));
        }
        Some(scanned)
    }
}
