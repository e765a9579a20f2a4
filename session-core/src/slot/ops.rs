//! The commits that a record remembers.

use std::{fmt, slice};

use crate::OpToken;

/// How many commits a [`StoredRecord`](super::StoredRecord) remembers by their token.
pub const REMEMBERED_OPS: u32 = 4;

const MOST: usize = REMEMBERED_OPS as usize;

/// The tokens of the last commits, the newest last; at most [`REMEMBERED_OPS`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RecentOps {
    tokens: [OpToken; MOST],
    count: usize,
}

impl RecentOps {
    /// Remembers one more, and forgets the oldest where there are too many.
    pub fn push(&mut self, op: OpToken) {
        if self.count == MOST {
            self.tokens.rotate_left(1);
            self.count -= 1;
        }
        if let Some(free) = self.tokens.get_mut(self.count) {
            *free = op;
            self.count += 1;
        }
    }

    /// The tokens, the oldest first.
    pub fn iter(&self) -> slice::Iter<'_, OpToken> {
        self.tokens.get(..self.count).unwrap_or_default().iter()
    }
}

impl Default for RecentOps {
    fn default() -> Self {
        Self { tokens: [OpToken::from_bytes([0; 16]); MOST], count: 0 }
    }
}

impl FromIterator<OpToken> for RecentOps {
    fn from_iter<I: IntoIterator<Item = OpToken>>(tokens: I) -> Self {
        let mut ops = Self::default();
        tokens.into_iter().for_each(|op| ops.push(op));
        ops
    }
}

impl<'a> IntoIterator for &'a RecentOps {
    type Item = &'a OpToken;
    type IntoIter = slice::Iter<'a, OpToken>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for RecentOps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_four_are_remembered_in_their_order() {
        let op = |n| OpToken::from_bytes([n; 16]);
        for count in 0..9 {
            let ops: RecentOps = (0..count).map(op).collect();
            let kept: Vec<OpToken> = (count.saturating_sub(4)..count).map(op).collect();
            assert!(ops.iter().eq(&kept), "{count}");
        }
    }
}
