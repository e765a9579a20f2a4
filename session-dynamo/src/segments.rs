//! Where a sweep is: the segments of the table that are left, and how far each has come.

use std::collections::VecDeque;

use session_core::Cursor;

/// A segment of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) number: u8,
    /// The name of the item after which it goes on.
    pub(crate) after: Option<String>,
}

/// The segments that are left, in the order of their turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segments {
    /// Of how many the table is.
    pub(crate) of: u8,
    left: VecDeque<Segment>,
}

impl Segments {
    /// Where a cursor goes on; the beginning for one of another store or another number of segments.
    pub(crate) fn at(cursor: Option<&Cursor>, of: u8) -> Self {
        cursor.and_then(|cursor| Self::read(cursor.as_bytes(), of)).unwrap_or_else(|| Self {
            of,
            left: (0..of).map(|number| Segment { number, after: None }).collect(),
        })
    }

    /// The segment whose turn it is.
    pub(crate) fn next(&mut self) -> Option<Segment> {
        self.left.pop_front()
    }

    /// A segment that is not at its end has another turn after the others.
    pub(crate) fn put_back(&mut self, segment: Segment) {
        self.left.push_back(segment);
    }

    /// Where another step goes on, if anything is left.
    pub(crate) fn cursor(&self) -> Option<Cursor> {
        let mut bytes = vec![self.of];
        for Segment { number, after } in &self.left {
            let name = after.as_deref().unwrap_or_default();
            bytes.push(*number);
            bytes.extend(u16::try_from(name.len()).ok()?.to_be_bytes());
            bytes.extend(name.as_bytes());
        }
        (!self.left.is_empty()).then(|| Cursor::new(bytes))
    }

    fn read(bytes: &[u8], of: u8) -> Option<Self> {
        let mut rest = bytes.strip_prefix(&[of])?;
        let mut left = VecDeque::new();
        while let Some(([number, high, low], tail)) = rest.split_first_chunk() {
            let (name, tail) = tail.split_at_checked(u16::from_be_bytes([*high, *low]).into())?;
            let name = std::str::from_utf8(name).ok()?;
            let after = Some(name.to_owned()).filter(|name| !name.is_empty());
            left.push_back(Segment { number: *number, after });
            rest = tail;
        }
        let are_segments = left.iter().all(|segment| segment.number < of);
        (rest.is_empty() && !left.is_empty() && are_segments).then_some(Self { of, left })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_take_turns_and_a_cursor_knows_them() {
        let mut segments = Segments::at(None, 3);
        let mut first = segments.next().unwrap();
        assert_eq!((first.number, first.after.as_deref()), (0, None));
        first.after = Some("session:a".to_owned());
        segments.put_back(first);
        let cursor = segments.cursor();
        let mut again = Segments::at(cursor.as_ref(), 3);
        assert_eq!(again, segments);
        let turns: Vec<_> = std::iter::from_fn(|| again.next()).collect();
        assert_eq!(turns.iter().map(|segment| segment.number).collect::<Vec<_>>(), [1, 2, 0]);
        assert_eq!(turns.last().unwrap().after.as_deref(), Some("session:a"));
        assert_eq!(again.cursor(), None, "nothing is left");
    }

    #[test]
    fn a_cursor_of_something_else_begins_anew() {
        let begin = Segments::at(None, 2);
        let cursor = begin.cursor().unwrap();
        let [whole, other] = [cursor.as_bytes(), &[2, 7, 0, 0]];
        let broken = [&[][..], b"session:a", &whole[..2], &[2], other, &[2, 0, 0, 1, 0xff]];
        for bytes in broken.map(<[u8]>::to_vec) {
            assert_eq!(Segments::at(Some(&Cursor::new(bytes.clone())), 2), begin, "{bytes:?}");
        }
        assert_eq!(Segments::at(Some(&cursor), 3), Segments::at(None, 3));
    }
}
