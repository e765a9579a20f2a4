//! What a server is started with.

/// What a server is started with. Without more: one thread, 64 MB, no password.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub(crate) tls: bool,
    pub(crate) login: Option<(String, String)>,
    pub(crate) arguments: Vec<String>,
}

impl Options {
    /// Without more.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// TLS instead of plain TCP, with a certificate for `localhost` and `127.0.0.1`.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Nobody but this user may do anything (`-Y`).
    #[must_use]
    pub fn login(mut self, user: &str, password: &str) -> Self {
        self.login = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// How many megabytes the items may take (`-m`).
    #[must_use]
    pub fn memory(self, megabytes: u32) -> Self {
        self.argument("-m").argument(&megabytes.to_string())
    }

    /// The size of the largest item, such as `"4m"` (`-I`).
    #[must_use]
    pub fn largest_item(self, size: &str) -> Self {
        self.argument("-I").argument(size)
    }

    /// Refuses what is new when memory is full, rather than drop what is old (`-M`).
    #[must_use]
    pub fn keeps_all(self) -> Self {
        self.argument("-M")
    }

    /// No compare-and-set (`-C`).
    #[must_use]
    pub fn without_numbers(self) -> Self {
        self.argument("-C")
    }

    /// Any other argument.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }
}
