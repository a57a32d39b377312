//! Any bytes for any file of a repository of signed updates: nothing may panic, nothing unsigned may be believed,
//! nothing longer than was asked for may be taken. The input is cut at 0xFF into the answers, in order; an empty one
//! is a file that is not there. Answers that begin with `=` stand for the honest file.
#![no_main]

use std::collections::HashMap;
use std::sync::LazyLock;

use intel::update::{
    Answer, Draft, Expiry, Folder, Got, Keys, Memory, Repository, Role, Rotation, SecretKey, Source, Step, Trust,
};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

/// An honest repository: every file by its path.
static HONEST: LazyLock<HashMap<String, Vec<u8>>> = LazyLock::new(|| {
    let dir = std::env::temp_dir().join(format!("portcullis-fuzz-update-{}", std::process::id()));
    let key = |role, number| SecretKey::from_seed(role, &[number; 32]);
    let all = [key(Role::Root, 1), key(Role::Release, 2), key(Role::Timestamp, 3)];
    let repository = Repository::new(&dir);
    let add = all.iter().map(|key| (key.role(), key.public().clone())).collect();
    let rotation = Rotation { add, ..Rotation::default() };
    repository.stage_root(&rotation, &all[..1], Timestamp::UNIX_EPOCH).expect("a root");
    repository.finish_root().expect("a signed root");
    let keys = Keys { release: vec![all[1].clone()], timestamp: vec![all[2].clone()] };
    let files = [("indicators.jsonl".to_owned(), b"{}\n".to_vec())].into();
    repository.publish(Some(files), &keys, Timestamp::UNIX_EPOCH, Expiry::default()).expect("a release");
    let mut folder = Folder::new(&dir);
    let mut read = |path: &str| match folder.get(path, 1 << 20) {
        Ok(Got::File(bytes)) => (path.to_owned(), bytes),
        other => panic!("{path}: {other:?}"),
    };
    let mut honest: HashMap<_, _> =
        ["root.json", "timestamp.json", "1.snapshot.json", "1.release.json"].into_iter().map(&mut read).collect();
    for entry in std::fs::read_dir(dir.join("files")).expect("files") {
        let name = entry.expect("a file").file_name().into_string().expect("a hash");
        honest.extend([read(&format!("files/{name}"))]);
    }
    let _left = std::fs::remove_dir_all(&dir);
    honest
});

fuzz_target!(|data: &[u8]| {
    let _read = Draft::parse(data).map(|draft| {
        assert_eq!(Draft::parse(&draft.bytes()).as_ref(), Ok(&draft));
        draft.role()
    });
    let mut trust = Trust::new(&HONEST["root.json"], Memory::default()).expect("an honest root");
    let mut update = trust.update(Timestamp::UNIX_EPOCH);
    for answer in data.split(|byte| *byte == 0xff) {
        let Step::Fetch(request) = update.wants() else { break };
        let honest = HONEST.get(&request.path);
        let bytes = if answer.first() == Some(&b'=') { honest.map(Vec::as_slice) } else { Some(answer) };
        let answer = match bytes {
            None | Some([]) => Answer::Absent,
            Some(bytes) => Answer::File(bytes),
        };
        let believed = update.take(answer).is_ok();
        // Without a key, only the honest files and the absence of another root are believed.
        assert!(!believed || bytes == honest.map(Vec::as_slice) || matches!(answer, Answer::Absent));
    }
});
