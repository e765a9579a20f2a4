//! What an administrator does to a server.

use std::time::Duration;

use crate::{
    Error, Result,
    sql::{APPLICATION, Server, Statements, mysql, postgres},
    until,
};

/// A setting reaches all of a server's processes within this.
const LIMIT: Duration = Duration::from_secs(60);

impl Server {
    /// Makes a database and returns its URL, which is like [`Server::url`].
    ///
    /// # Errors
    /// When there is one of this name, or the name has more than lower case letters, digits and
    /// `_`.
    pub async fn database(&self, name: &str) -> Result<String> {
        let plain = |letter: char| matches!(letter, 'a'..='z' | '0'..='9' | '_');
        if !name.chars().all(plain) {
            return Err(Error::new(format!("{name:?} is not a plain name")));
        }
        let create = if self.flavor().is_mysql() {
            mysql::create_database(name)
        } else {
            postgres::create_database(name)
        };
        self.client().run(self.client().home(), &create).await?;
        Ok(self.url_of(name))
    }

    /// Makes a database with a name that no other has, and returns its URL.
    ///
    /// # Errors
    /// As [`Server::execute`].
    pub async fn fresh_database(&self) -> Result<String> {
        self.database(&format!("fresh_{}", self.next_number())).await
    }

    /// Runs statements in the first database, as somebody who may do everything.
    ///
    /// # Errors
    /// With what the server says of the first that fails.
    pub async fn execute(&self, sql: &str) -> Result<()> {
        self.query(sql).await.map(drop)
    }

    /// As [`Server::execute`], and returns the rows: values between tabs, rows between newlines.
    ///
    /// # Errors
    /// As [`Server::execute`].
    pub async fn query(&self, sql: &str) -> Result<String> {
        self.query_in(APPLICATION, sql).await
    }

    /// As [`Server::query`], in the database of this name.
    ///
    /// # Errors
    /// As [`Server::execute`].
    pub async fn query_in(&self, database: &str, sql: &str) -> Result<String> {
        self.client().run(database, sql).await
    }

    /// Refuses the application's writes, or takes them again; of connections that are open as
    /// well, from their next transaction on. The server forgets it at a restart, except
    /// PostgreSQL.
    ///
    /// # Errors
    /// As [`Server::execute`].
    pub async fn set_read_only(&self, read_only: bool) -> Result<()> {
        let value = if read_only { "on" } else { "off" };
        if self.flavor().is_mysql() {
            return self.execute(&format!("SET GLOBAL read_only = {value}")).await;
        }
        let setting = "default_transaction_read_only";
        self.execute(&format!("ALTER SYSTEM SET {setting} = {value}; SELECT pg_reload_conf()"))
            .await?;
        // A connection that was made later than the others were told knows as well.
        until("reloaded setting", LIMIT, || async {
            Ok((self.query(&format!("SHOW {setting}")).await? == value).then_some(()))
        })
        .await
    }

    /// Ends the application's connections, in all its databases, and says how many there were.
    ///
    /// # Errors
    /// As [`Server::execute`].
    pub async fn kill_clients(&self) -> Result<u64> {
        let kills = if self.flavor().is_mysql() {
            // `information_schema` fails on a statement with bytes that are no text.
            kills_in(&self.query("SHOW PROCESSLIST").await?)
        } else {
            let kills = "SELECT format('SELECT pg_terminate_backend(%s, 10000)', pid)
                FROM pg_stat_activity WHERE usename = ";
            self.query(&format!("{kills}'{APPLICATION}'")).await?
        };
        let mut killed = 0;
        for kill in kills.lines() {
            // Those that have left meanwhile are not there, or not ended by us.
            let ended = self.query(kill).await;
            killed += u64::from(ended.is_ok_and(|reply| reply != "f"));
        }
        Ok(killed)
    }

    /// What clients had it do, counted by itself; [`Statements::since`] tells what came in
    /// between. Other tests on the same server count as well.
    ///
    /// # Errors
    /// As [`Server::execute`].
    pub async fn statements(&self) -> Result<Statements> {
        if !self.flavor().is_mysql() {
            return Ok(Statements::of_log(&self.log()));
        }
        let look = || self.query(Statements::STATUS);
        let before = Statements::of_status(&look().await?);
        Ok(Statements::of_status(&look().await?).after_look(&before))
    }
}

/// What ends the application's connections in a list of MySQL's.
fn kills_in(list: &str) -> String {
    let of_application = |line: &str| {
        let mut columns = line.split('\t');
        let id: u64 = columns.next()?.parse().ok()?;
        (columns.next()? == APPLICATION).then(|| format!("KILL {id}\n"))
    };
    list.lines().filter_map(of_application).collect()
}
