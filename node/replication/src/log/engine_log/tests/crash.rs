//! Processes that are killed while they write: what was acknowledged is there, and nothing is damaged.

use super::*;

const FOLDER: &str = "CAIRN_TEST_LOG_FOLDER";
const LOGS: u64 = 4;

/// Runs in the process that is killed: writes until then, and says what is durable.
#[test]
#[ignore = "the other half of the test below, which runs it"]
fn writer() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let node = Node { folder: tempfile::tempdir().unwrap(), ..Node::with_replicas(LOGS) };
    let log = EngineLog::open(Path::new(&folder), &node.engine, OnDamage::Refuse).unwrap().log;
    let mut next = Vec::new();
    for log_id in 1..=LOGS {
        match log.state(log_id) {
            Ok(state) => next.push(state.last_index + 1),
            Err(_) => {
                log.start(log_id, 0, 0, HardState::default()).unwrap();
                next.push(1);
            }
        }
    }
    for round in 0.. {
        let mut write = LogBatch::default();
        for (log_id, next) in (1..).zip(&mut next) {
            let count = (round + log_id) % 3;
            write.append(log_id, (*next..*next + count).map(|index| big_entry(log_id, index)).collect());
            write.set_hard_state(log_id, HardState { term: 1, vote: log_id, commit: *next - 1 });
            *next += count;
        }
        log.write(write, true).unwrap();
        let durable: Vec<String> = next.iter().map(|next| (next - 1).to_string()).collect();
        println!("durable {}", durable.join(" "));
        if round % 7 == 0 {
            for (log_id, next) in (1..).zip(&next) {
                log.compact(log_id, next.saturating_sub(50)).unwrap();
            }
            log.purge().unwrap();
        }
    }
}

fn big_entry(log_id: u64, index: u64) -> LogEntry {
    let payload = vec![(log_id * 31 + index) as u8; (index * 7919 % 20_000) as usize];
    LogEntry { index, term: 1, kind: 0, payload: payload.into() }
}

#[test]
fn nothing_that_was_durable_is_lost_when_the_process_is_killed() {
    let node = Node::with_replicas(LOGS);
    for kill in 0..8_u64 {
        let mut writer = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["log::engine_log::tests::crash::writer", "--exact", "--ignored", "--nocapture"])
            .env(FOLDER, node.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(writer.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut durable = String::new();
        for _ in 0..kill * 23 + 3 {
            durable = said.by_ref().find(|line| line.contains("durable ")).expect("the writer ended by itself");
        }
        writer.kill().unwrap();
        durable = said.filter(|line| line.starts_with("durable ")).last().unwrap_or(durable);
        writer.wait().unwrap();
        let opened = node.open();
        assert_eq!(opened.set_aside, None);
        let durable = durable.split("durable ").last().unwrap().split(' ').map(|last| last.parse::<u64>().unwrap());
        for (log_id, last) in (1..).zip(durable) {
            let (state, entries, _) = contents(&opened.log, log_id);
            assert!(state.last_index >= last, "log {log_id} lost entries {} to {last}", state.last_index + 1);
            assert!(entries.iter().all(|entry| *entry == big_entry(log_id, entry.index)));
        }
    }
}

#[test]
fn what_a_power_cut_leaves_of_the_last_write_is_opened_at_any_length() {
    let node = Node::with_replicas(2);
    let log = node.started();
    for index in 1..=20 {
        let mut write = batch(1, [(index, 1)]);
        append(&mut write, 2, vec![big_entry(2, index)]);
        log.write(write, true).unwrap();
    }
    let live = std::fs::read(node.last_file()).unwrap();
    let end = File::open(node.last_file()).unwrap().metadata().unwrap().len();
    assert!(end >= 2 << 20, "room is allocated ahead");
    drop(log);
    let name = node.last_file().file_name().unwrap().to_owned();
    let written = std::fs::read(node.last_file()).unwrap().len();
    for length in (written - 9000..=written).step_by(97) {
        let node = Node::with_replicas(2);
        drop(node.open());
        let mut left = live[..length].to_vec();
        left.resize(live.len(), 0);
        std::fs::write(node.path().join(&name), left).unwrap();
        let opened = node.open();
        assert_eq!(opened.set_aside, None, "{length}");
        let (first, second) = (contents(&opened.log, 1), contents(&opened.log, 2));
        assert_eq!(first.0.last_index, second.0.last_index, "a batch is there for all logs or for none");
        assert!(first.0.last_index >= 18);
    }
}
