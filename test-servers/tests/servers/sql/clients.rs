//! Clients of the application's: the server's own program, and a bare connection.

use std::process::Stdio;

use test_servers::sql::{Flavor, Server};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// The application's client, over TCP.
fn client_arguments(server: &Server, more: &[&str]) -> Vec<String> {
    let (port, url) = (server.port().to_string(), server.url());
    let own: &[&str] = if server.flavor().is_mysql() {
        &["--no-defaults", "-h127.0.0.1", "-P", &port, "-uapp", "-psecret", "-N", "-Dapp"]
    } else {
        &["-XqAt", "-d", &url]
    };
    let program = server.flavor().client().unwrap().display().to_string();
    let arguments = own.iter().chain(more).map(|&argument| argument.to_owned());
    [program].into_iter().chain(arguments).collect()
}

/// What the application's client prints, and whether it succeeded.
pub(crate) fn client(server: &Server, more: &[&str], sql: &str) -> (String, bool) {
    let arguments = client_arguments(server, more);
    let mut command = std::process::Command::new(&arguments[0]);
    command.args(&arguments[1..]);
    let texts: Vec<&str> =
        if server.flavor().is_mysql() { vec![sql] } else { sql.split(';').collect() };
    let flag = if server.flavor().is_mysql() { "-e" } else { "-c" };
    let output = command.args(texts.into_iter().flat_map(|text| [flag, text])).output().unwrap();
    let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (printed, output.status.success())
}

/// A client of the application's that stays connected.
pub(crate) struct Session {
    _child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Session {
    pub(crate) fn open(server: &Server) -> std::io::Result<Self> {
        let more: &[&str] = if server.flavor().is_mysql() { &["-n", "--force"] } else { &[] };
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$@\" 2>&1", "sh"]).args(client_arguments(server, more));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Ok(Self { _child: child, stdin, lines: BufReader::new(stdout).lines() })
    }

    /// What is printed for a statement.
    pub(crate) async fn say(&mut self, sql: &str) -> std::io::Result<String> {
        self.stdin.write_all(format!("{sql};\nSELECT 'done';\n").as_bytes()).await?;
        let mut printed = String::new();
        while let Some(line) = self.lines.next_line().await?.filter(|line| line != "done") {
            printed.push_str(&line);
        }
        Ok(printed)
    }
}

/// Speaks the protocol of MySQL, as far as counters need it.
pub(crate) struct Connection(TcpStream);

impl Connection {
    /// As a user without a password.
    pub(crate) async fn open(server: &Server) -> std::io::Result<Self> {
        const CAPABILITIES: u32 = 0x0008_8200;
        let mut connection = Self(TcpStream::connect(server.address()).await?);
        connection.receive().await?;
        let mut login = CAPABILITIES.to_le_bytes().to_vec();
        login.extend([0, 0, 0, 1, 45]);
        login.extend([0; 23]);
        login.extend(b"bare\0\0");
        let native: &[u8] = b"mysql_native_password\0";
        let native =
            if server.flavor() == Flavor::MySql { b"caching_sha2_password\0" } else { native };
        login.extend(native);
        connection.send(1, &login).await?;
        let reply = connection.receive().await?;
        assert_eq!(reply[0], 0, "{}", String::from_utf8_lossy(&reply));
        Ok(connection)
    }

    /// Sends a command, and waits for the first packet of its reply.
    pub(crate) async fn command(&mut self, command: &[u8]) -> std::io::Result<()> {
        self.send(0, command).await?;
        let reply = self.receive().await?;
        assert_ne!(reply[0], 0xff, "{}", String::from_utf8_lossy(&reply));
        Ok(())
    }

    /// Waits until the server has done all of it.
    pub(crate) async fn close(mut self) -> std::io::Result<()> {
        self.send(0, b"\x01").await?;
        self.0.read_to_end(&mut Vec::new()).await.map(drop)
    }

    async fn send(&mut self, number: u8, packet: &[u8]) -> std::io::Result<()> {
        let length = u32::try_from(packet.len()).unwrap().to_le_bytes();
        let header = [length[0], length[1], length[2], number];
        self.0.write_all(&[&header, packet].concat()).await
    }

    async fn receive(&mut self) -> std::io::Result<Vec<u8>> {
        let mut header = [0; 4];
        self.0.read_exact(&mut header).await?;
        let mut packet = vec![0; usize::from(header[0]) + (usize::from(header[1]) << 8)];
        self.0.read_exact(&mut packet).await?;
        Ok(packet)
    }
}
