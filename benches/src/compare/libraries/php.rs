//! PHP itself: processes that run `session_start`, change `$_SESSION` and run `session_write_close`.

use std::{path::Path, process::Stdio, sync::Mutex, sync::PoisonError};

use async_trait::async_trait;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::Semaphore,
};

use crate::{
    compare::library::{Change, Kept, Library, Mode, Rotated, any_part},
    measure::Result,
};

/// As many as there are tasks, at most.
const PROCESSES: usize = 16;

/// PHP's sessions by one of its handlers.
pub(crate) struct Php {
    settings: Vec<String>,
    idle: Mutex<Vec<Worker>>,
    processes: Mutex<Vec<i32>>,
    slots: Semaphore,
    bytes: usize,
}

impl Php {
    /// With these settings, such as `session.save_handler=files`.
    pub(crate) fn new(settings: Vec<String>, bytes: usize) -> Self {
        let (idle, processes) = (Mutex::default(), Mutex::default());
        Self { settings, idle, processes, slots: Semaphore::new(PROCESSES), bytes }
    }

    fn start(&self) -> Result<Worker> {
        let worker = Worker::start(&self.settings)?;
        let id = worker.process.id().map(i32::try_from).transpose()?;
        self.processes.lock().unwrap_or_else(PoisonError::into_inner).extend(id);
        Ok(worker)
    }

    /// What PHP says to a line; its errors and warnings are errors.
    async fn ask(&self, question: &str) -> Result<String> {
        let _slot = self.slots.acquire().await?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut worker = match idle {
            Some(worker) => worker,
            None => self.start()?,
        };
        let answer = worker.ask(question).await?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
        match answer.split_once(' ') {
            Some(("ok", rest)) => Ok(rest.to_owned()),
            _ => Err(answer.into()),
        }
    }
}

/// One process, which ends when it is dropped.
struct Worker {
    process: Child,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    fn start(settings: &[String]) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/compare/libraries/worker.php");
        let mut command = Command::new("php");
        command.args(["-d", "display_errors=stderr"]);
        for setting in settings {
            command.args(["-d", setting]);
        }
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn()?;
        let questions = process.stdin.take().ok_or("PHP has no standard input")?;
        let answers = process.stdout.take().ok_or("PHP has no standard output")?;
        Ok(Self { process, questions, answers: BufReader::new(answers).lines() })
    }

    async fn ask(&mut self, question: &str) -> Result<String> {
        self.questions.write_all(format!("{question}\n").as_bytes()).await?;
        self.answers.next_line().await?.ok_or_else(|| "PHP has ended".into())
    }
}

#[async_trait]
impl Library for Php {
    /// Its only one.
    fn modes(&self) -> &'static [Mode] {
        &[Mode::Exclusive]
    }

    async fn create(&self) -> Result<String> {
        self.ask(&format!("create {}", self.bytes)).await
    }

    async fn read(&self, id: &str) -> Result<bool> {
        Ok(self.ask(&format!("read {id} {}", any_part())).await? == "1")
    }

    async fn change(&self, id: &str, change: &Change, _mode: Mode) -> Result<Option<String>> {
        let Change { entry, work } = change;
        let now = self.ask(&format!("change {id} {entry} {}", work.as_micros())).await?;
        Ok((now != id).then_some(now))
    }

    /// Every request extends, as PHP does.
    async fn touch(&self, id: &str) -> Result<()> {
        self.ask(&format!("touch {id} {}", any_part())).await.map(drop)
    }

    async fn destroy(&self, id: &str) -> Result<()> {
        self.ask(&format!("destroy {id}")).await.map(drop)
    }

    async fn rotate(&self, id: &str) -> Result<Rotated> {
        self.ask(&format!("rotate {id}")).await.map(Rotated::To)
    }

    fn processes(&self) -> Vec<i32> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn kept(&self, id: &str) -> Result<Option<Kept>> {
        let answer = self.ask(&format!("kept {id}")).await?;
        let mut words = answer.split(' ');
        let count = words.next().and_then(|count| count.parse().ok());
        Ok(Kept::of(count, words))
    }
}
