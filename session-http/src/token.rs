//! The text that carries a session id, in a cookie or a header: the id, and its signature.

use data_encoding::BASE64URL_NOPAD;
use session_core::{SessionId, Timestamp};

use crate::{
    Signing,
    keys::{KeyId, Verdict},
    presented::Refusal,
};

/// 32 bytes in base64.
const MAC_LEN: usize = 43;

/// Which ids are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Ids {
    Native,
    Foreign,
}

/// How ids are written and read.
#[derive(Debug, Clone)]
pub(crate) struct TokenForm {
    pub(crate) ids: Ids,
    pub(crate) signing: Option<Signing>,
}

/// An id that a request carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) id: SessionId,
    /// It should be sent again as it is written by now: with a signature, or that of another key.
    pub(crate) is_stale: bool,
}

impl TokenForm {
    pub(crate) const NATIVE: Self = Self { ids: Ids::Native, signing: None };

    /// The length of the longest text.
    pub(crate) const fn max_len(&self) -> usize {
        let id = match self.ids {
            Ids::Native => SessionId::NATIVE_LEN,
            // The longest legal id, each of its characters encoded.
            Ids::Foreign => 3 * SessionId::MAX_LEN,
        };
        match self.signing {
            None => id,
            Some(_) => id + 1 + KeyId::TEXT_LEN + 1 + MAC_LEN,
        }
    }

    /// The text that carries `id` in the cookie or header `carrier`.
    pub(crate) fn write(&self, carrier: &str, id: &SessionId) -> String {
        // A comma is no cookie character; PHP encodes it the same way.
        let text = id.expose().replace(',', "%2C");
        let signing = self.signing.as_ref().filter(|signing| signing.signs());
        let signature = signing.and_then(|signing| signing.ring().sign(&message(carrier, id)));
        match signature {
            Some((key, mac)) => format!("{text}.{key}.{}", BASE64URL_NOPAD.encode(&mac)),
            None => text,
        }
    }

    /// The id that `value` carries; `now` is asked for only where it matters.
    pub(crate) fn read(
        &self,
        carrier: &str,
        value: &[u8],
        now: impl FnOnce() -> Timestamp,
    ) -> Result<Token, Refusal> {
        let text = std::str::from_utf8(value).ok().filter(|text| text.len() <= self.max_len());
        let text = text.ok_or(Refusal::Malformed)?;
        let Some(signing) = &self.signing else {
            return Ok(Token { id: self.id(text)?, is_stale: false });
        };
        let Some((id, signature)) = text.split_once('.') else {
            let id = self.id(text)?;
            let is_accepted = signing.accepts_unsigned(now());
            return is_accepted
                .then_some(Token { id, is_stale: signing.signs() })
                .ok_or(Refusal::Unsigned);
        };
        let (id, (key, mac)) = (self.id(id)?, parse(signature).ok_or(Refusal::Malformed)?);
        match signing.ring().verify(key, &message(carrier, &id), &mac) {
            Verdict::ByNewest => Ok(Token { id, is_stale: false }),
            Verdict::ByOlder => Ok(Token { id, is_stale: signing.signs() }),
            Verdict::Forged => Err(Refusal::Forged),
            Verdict::UnknownKey => Err(Refusal::UnknownKey(key)),
        }
    }

    fn id(&self, text: &str) -> Result<SessionId, Refusal> {
        let id = match self.ids {
            Ids::Native => SessionId::parse_native(text),
            Ids::Foreign => SessionId::parse(&text.replace("%2C", ",").replace("%2c", ",")),
        };
        id.map_err(|_says_no_more| Refusal::Malformed)
    }
}

/// What is signed. A name holds no zero byte, so no two pairs make the same message.
fn message<'a>(carrier: &'a str, id: &'a SessionId) -> [&'a [u8]; 4] {
    [b"session id signature\0", carrier.as_bytes(), b"\0", id.expose().as_bytes()]
}

fn parse(signature: &str) -> Option<(KeyId, Vec<u8>)> {
    let (key, mac) = signature.split_once('.')?;
    let mac = Some(mac).filter(|mac| mac.len() == MAC_LEN)?;
    Some((KeyId::parse(key)?, BASE64URL_NOPAD.decode(mac.as_bytes()).ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::KeyRing;

    const ID: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    const OTHER: &str = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA";
    const OLD: &[u8] = b"0123456789abcdef0123456789abcdef";
    const NEW: &[u8] = b"fedcba9876543210fedcba9876543210";

    fn signed(keys: &[&[u8]]) -> TokenForm {
        form(Signing::new(KeyRing::new(keys).unwrap()))
    }

    fn form(signing: Signing) -> TokenForm {
        TokenForm { ids: Ids::Native, signing: Some(signing) }
    }

    fn id() -> SessionId {
        SessionId::parse_native(ID).unwrap()
    }

    fn read(form: &TokenForm, text: &str) -> Result<Token, Refusal> {
        form.read("id", text.as_bytes(), || Timestamp::from_millis(1_000))
    }

    fn fresh() -> Result<Token, Refusal> {
        Ok(Token { id: id(), is_stale: false })
    }

    fn stale() -> Result<Token, Refusal> {
        Ok(Token { id: id(), is_stale: true })
    }

    #[test]
    fn what_was_written_is_read() {
        for form in [TokenForm::NATIVE, signed(&[NEW])] {
            let text = form.write("id", &id());
            assert_eq!(read(&form, &text), fresh());
            assert_eq!(text.len(), form.max_len());
        }
        assert_eq!(TokenForm::NATIVE.write("id", &id()), ID, "without a ring it is the id");
    }

    #[test]
    fn a_text_of_an_older_key_is_accepted_and_to_be_replaced() {
        let text = signed(&[OLD]).write("id", &id());
        assert_eq!(read(&signed(&[NEW, OLD]), &text), stale());
        let unknown = KeyRing::new([OLD]).unwrap().ids().next().unwrap();
        assert_eq!(read(&signed(&[NEW]), &text), Err(Refusal::UnknownKey(unknown)));
    }

    #[test]
    fn sec_07_a_signature_is_of_one_id_in_one_cookie() {
        let form = signed(&[NEW]);
        let text = form.write("id", &id());
        assert_eq!(read(&form, &text.replace(ID, OTHER)), Err(Refusal::Forged));
        assert_eq!(read(&form, &form.write("other", &id())), Err(Refusal::Forged));
        let flipped = format!("{}A", &text[..text.len() - 1]);
        let (_, mac) = text.rsplit_once('.').unwrap();
        let swapped: String = mac.chars().rev().collect();
        assert_ne!(read(&form, &flipped.replace(mac, &swapped)), fresh());
    }

    #[test]
    fn an_id_without_a_signature_is_accepted_only_until_the_declared_time() {
        assert_eq!(read(&signed(&[NEW]), ID), Err(Refusal::Unsigned));
        let until = |millis| {
            let signing = Signing::new(KeyRing::new([NEW]).unwrap());
            form(signing.accept_unsigned_until(Timestamp::from_millis(millis)))
        };
        assert_eq!(read(&until(1_001), ID), stale());
        assert_eq!(read(&until(1_000), ID), Err(Refusal::Unsigned));
    }

    #[test]
    fn a_ring_that_does_not_sign_yet_accepts_both_and_replaces_neither() {
        let later = form(Signing::new(KeyRing::new([NEW, OLD]).unwrap()).not_yet());
        assert_eq!(later.write("id", &id()), ID);
        assert_eq!(read(&later, ID), fresh());
        assert_eq!(read(&later, &signed(&[OLD]).write("id", &id())), fresh());
    }

    #[test]
    fn sec_04_what_is_neither_an_id_nor_signed_is_malformed() {
        let form = signed(&[NEW]);
        let text = form.write("id", &id());
        let (head, mac) = text.rsplit_once('.').unwrap();
        let cut = &text[..text.len() - 1];
        let long = format!("{text}A");
        let hostile = ["", ".", "..", "...", &format!("{head}."), head, &format!("{ID}."), cut];
        for value in hostile.into_iter().chain([long.as_str(), &format!("{ID}.?.{mac}")]) {
            assert_eq!(read(&form, value), Err(Refusal::Malformed), "{value:?}");
        }
        assert_eq!(read(&TokenForm::NATIVE, &text), Err(Refusal::Malformed), "no ring here");
    }

    #[test]
    fn foreign_ids_are_signed_as_they_are() {
        let foreign = TokenForm { ids: Ids::Foreign, ..signed(&[NEW]) };
        let id = SessionId::parse("a,b").unwrap();
        let text = foreign.write("id", &id);
        assert!(text.starts_with("a%2Cb."));
        assert_eq!(read(&foreign, &text), Ok(Token { id, is_stale: false }));
    }

    fn forms() -> impl Strategy<Value = TokenForm> {
        let unsigned = form(Signing::new(KeyRing::new([NEW]).unwrap()).not_yet());
        let foreign = TokenForm { ids: Ids::Foreign, ..unsigned.clone() };
        let plain = TokenForm { ids: Ids::Foreign, signing: None };
        prop::sample::select(vec![TokenForm::NATIVE, signed(&[NEW, OLD]), unsigned, foreign, plain])
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(form in forms(), value: Vec<u8>) {
            let read = form.read("id", &value, Timestamp::default);
            prop_assert!(value.len() <= form.max_len() || read == Err(Refusal::Malformed));
        }

        #[test]
        fn texts_like_ours_are_read_without_a_panic(
            form in forms(),
            value in "[A-Za-z0-9_,%.-]{0,60}\\.?[A-Za-z0-9_-]{7,9}\\.?[A-Za-z0-9_-]{42,44}",
        ) {
            let is_signed = form.signing.as_ref().is_some_and(Signing::signs);
            let read = form.read("id", value.as_bytes(), Timestamp::default);
            prop_assert!(!is_signed || read.is_err(), "nobody makes a signature by chance");
        }

        #[test]
        fn a_changed_text_is_never_accepted(at in 0_usize..96, to in "[A-Za-z0-9_.-]") {
            let form = signed(&[NEW]);
            let text = form.write("id", &id());
            let changed = format!("{}{to}{}", &text[..at], &text[at + 1..]);
            prop_assert!(changed == text || form.read("id", changed.as_bytes(), Timestamp::default).is_err());
        }
    }
}
