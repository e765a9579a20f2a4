//! Stores of the AWS SDK for PHP.

use std::sync::Arc;

use session_dynamo::php::{PhpLayout, PhpStore};
use session_php::DynamoDbPath;

use crate::core::{Result, SessionStore};

pub(super) async fn open(path: DynamoDbPath) -> Result<Arc<dyn SessionStore>> {
    Ok(Arc::new(PhpStore::open(layout(path)?).await?))
}

fn layout(path: DynamoDbPath) -> Result<PhpLayout> {
    let mut layout = PhpLayout::from_url(&path.url)?;
    layout.session_name = path.session_name.unwrap_or(layout.session_name);
    Ok(layout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::php::{Ini, SavePath};

    fn of(pairs: &[(&str, &str)]) -> Result<PhpLayout> {
        let handler = ("session.save_handler", "user");
        let ini = Ini::from_iter([handler].into_iter().chain(pairs.iter().copied()));
        let SavePath::DynamoDb(path) = SavePath::of(&ini).unwrap() else {
            panic!("another handler");
        };
        layout(path)
    }

    #[test]
    fn a_url_is_enough_and_the_sessions_name_is_phps_setting() {
        let path = ("session.save_path", "dynamodb://Sessions?region=r&locking=true");
        let layout = of(&[path]).unwrap();
        assert_eq!(layout.dynamo.table.as_deref(), Some("Sessions"));
        assert!(layout.lock.is_some());
        assert_eq!(layout.session_name, "PHPSESSID");
        assert_eq!(of(&[path, ("session.name", "APP")]).unwrap().session_name, "APP");
        let wrong = of(&[("session.save_path", "dynamodb:?batch_config=secret")]).unwrap_err();
        let told = wrong.to_string();
        assert!(told.contains("batch_config") && !told.contains("secret"), "{told}");
    }
}
