//! Sessions like those of applications.

use serde::Serialize;
use session_php::{SerializeHandler, SessionData};

use crate::measure::Result;

#[derive(Serialize)]
struct Item {
    sku: String,
    name: String,
    quantity: u32,
    price: f64,
    gift: bool,
    note: Option<String>,
}

/// A log-in, and a cart that makes it about so many bytes long.
pub(crate) fn session(handler: SerializeHandler, size: usize) -> Result<Vec<u8>> {
    let mut session = SessionData::new(handler);
    session.insert("uid", &1234)?;
    session.insert("roles", &["admin", "editor"])?;
    session.insert("csrf", "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4")?;
    session.insert("last", &1_700_000_000)?;
    session.insert("flash", &[(); 0])?;
    session.insert("locale", "fr_FR")?;
    let items = |count: u32| -> Vec<Item> { (0..count).map(item).collect() };
    for carts in 0.. {
        let length = session.encode()?.len();
        if length >= size {
            break;
        }
        let count = u32::try_from((size - length) / 150)?.clamp(1, 40);
        session.insert(format!("cart{carts}"), &items(count))?;
    }
    Ok(session.encode()?.to_vec())
}

fn item(number: u32) -> Item {
    Item {
        sku: format!("A-{number:05}"),
        name: format!("Something to buy, number {number}"),
        quantity: number % 7 + 1,
        price: f64::from(number) * 1.25 + 0.99,
        gift: number % 3 == 0,
        note: None,
    }
}
