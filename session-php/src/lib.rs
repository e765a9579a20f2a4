#![doc = include_str!("../README.md")]

mod de;
mod error;
mod format;
mod graph;
#[cfg(feature = "igbinary")]
mod igbinary;
mod ini;
mod key;
mod limits;
#[cfg(feature = "msgpack")]
mod msgpack;
mod save_path;
mod ser;
mod session;
pub mod settings;
pub mod state;
mod text;
mod value;

pub use de::from_slice;
pub use error::{Error, ErrorKind, Result};
pub use format::PhpFormat;
pub use ini::Ini;
pub use key::KeyRef;
pub use limits::Limits;
pub use save_path::{
    DynamoDbPath, FilesPath, MemcachedHashing, MemcachedLock, MemcachedPath, MemcachedServer,
    PdoDatabase, PdoPath, PdoServer, RedisAccess, RedisAddress, RedisClusterPath, RedisLock,
    RedisPath, RedisServer, Refusal, SavePath,
};
pub use ser::to_vec;
pub use session::{Names, SerializeHandler, SessionData};
pub use settings::{PhpVersion, Settings};
pub use text::Precision;
pub use value::{Entries, Kind, ObjectKind, ObjectView, Property, Value, View, Visibility};
