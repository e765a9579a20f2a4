//! Sessions and values drawn at random, as text.

use fastrand::Rng;
use session_php::SerializeHandler;

pub(crate) const HANDLERS: [SerializeHandler; 3] =
    [SerializeHandler::Php, SerializeHandler::PhpBinary, SerializeHandler::PhpSerialize];

/// What values may have in them.
///
/// Some things must not come together. A variable that holds an object and once was another's by
/// reference is written by PHP as if it still were, as long as PHP has not noticed that the other is
/// gone: after an entry was overwritten, or a variable of the session was set or unset.
#[derive(Debug, Clone, Copy)]
pub(crate) struct With {
    /// Objects, and `r:`.
    pub(crate) objects: bool,
    /// Objects of classes that PHP has, which have their own view of names of properties.
    pub(crate) classes: bool,
    /// Variables that are one by reference, `R:`.
    pub(crate) references: bool,
    /// Those that hold an object, too.
    pub(crate) references_to_objects: bool,
    /// Keys that come twice.
    pub(crate) repeats: bool,
}

impl With {
    /// What JSON has too.
    pub(crate) const NOTHING: Self = Self {
        objects: false,
        classes: false,
        references: false,
        references_to_objects: false,
        repeats: true,
    };
    pub(crate) const ALL: Self = Self {
        objects: true,
        classes: true,
        references: true,
        references_to_objects: true,
        repeats: false,
    };
    pub(crate) const REFERENCES: Self = Self { references: true, ..Self::NOTHING };
    pub(crate) const OBJECTS: Self = Self { objects: true, classes: true, ..Self::NOTHING };
}

/// Draws values that may refer to each other.
pub(crate) struct Drawer<'r> {
    pub(crate) rng: &'r mut Rng,
    with: With,
    out: Vec<u8>,
    /// For each slot, whether it has an object.
    slots: Vec<bool>,
    /// Slots up to this one are not referred to.
    hidden: usize,
    /// How many names there were.
    names: u32,
}

impl<'r> Drawer<'r> {
    pub(crate) fn new(rng: &'r mut Rng, with: With) -> Self {
        Self { rng, with, out: Vec::new(), slots: Vec::new(), hidden: 0, names: 0 }
    }

    /// A value on its own, which does not refer to itself as a whole.
    pub(crate) fn lone_value(mut self) -> Vec<u8> {
        self.hidden = 1;
        self.value(0);
        self.out
    }

    /// A session with so many variables.
    pub(crate) fn session(mut self, handler: SerializeHandler, count: usize) -> Vec<u8> {
        if handler == SerializeHandler::PhpSerialize {
            self.slots.push(false);
            self.hidden = 1;
            self.text(&format!("a:{count}:{{"));
        }
        for _ in 0..count {
            let name = self.name(handler);
            match handler {
                SerializeHandler::Php => {
                    self.out.extend_from_slice(&name);
                    self.text("|");
                }
                SerializeHandler::PhpBinary => {
                    self.out.push(u8::try_from(name.len()).unwrap());
                    self.out.extend_from_slice(&name);
                }
                _ => self.string("s", &name),
            }
            self.value(0);
        }
        if handler == SerializeHandler::PhpSerialize {
            self.text("}");
        }
        self.out
    }

    /// A name that this drawer has not drawn before.
    pub(crate) fn name(&mut self, handler: SerializeHandler) -> Vec<u8> {
        self.names += 1;
        let number = self.names * 40 + self.rng.u32(0..40);
        match self.rng.u8(0..20) {
            0 if handler == SerializeHandler::PhpSerialize => number.to_string().into_bytes(),
            1 => format!("!{number}").into_bytes(),
            2 => [b"k\0\xff\x80", number.to_string().as_bytes()].concat(),
            3 => format!("{number:x>127}").into_bytes(),
            4 => format!("a;b\"c d{number}").into_bytes(),
            _ => format!("name{number}").into_bytes(),
        }
    }

    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn string(&mut self, tag: &str, bytes: &[u8]) {
        self.text(&format!("{tag}:{}:\"", bytes.len()));
        self.out.extend_from_slice(bytes);
        self.text("\";");
    }

    fn value(&mut self, depth: usize) {
        let With { objects, references, references_to_objects, .. } = self.with;
        let mut choice = self.rng.u8(0..if depth < 4 { 20 } else { 9 });
        if choice >= 14 && self.slots.len() > self.hidden {
            let slot = self.rng.usize(self.hidden..self.slots.len());
            let object = self.slots[slot];
            if references && (!object || (references_to_objects && choice < 16)) {
                return self.text(&format!("R:{};", slot + 1));
            }
            if object {
                self.slots.push(true);
                return self.text(&format!("r:{};", slot + 1));
            }
        }
        if choice >= 12 && !objects {
            choice -= 9;
        }
        self.slots.push(objects && (choice == 8 || choice >= 12));
        match choice {
            0 => self.text("N;"),
            1 => {
                let text = if self.rng.bool() { "b:1;" } else { "b:0;" };
                self.text(text);
            }
            2 | 3 => {
                let number = self.int();
                self.text(&format!("i:{number};"));
            }
            4 => {
                let text = float_text(self.float());
                self.text(&format!("d:{text};"));
            }
            5..8 => {
                let bytes = self.bytes();
                self.string("s", &bytes);
            }
            8 if !objects => self.text("a:0:{}"),
            8 => {
                let case = *self.rng.choice(&["Unit:A", "Unit:B", "Suit:Spades"]).unwrap();
                self.string("E", case.as_bytes());
            }
            9..12 => self.array(depth),
            _ => self.object(depth),
        }
    }

    fn is_json(&self) -> bool {
        !self.with.objects && !self.with.references
    }

    fn float(&mut self) -> f64 {
        let float = any_float(self.rng);
        if self.is_json() && !float.is_finite() { 0.25 } else { float }
    }

    fn int(&mut self) -> i64 {
        match self.rng.u8(0..6) {
            0 => i64::MIN,
            1 => i64::MAX,
            2 => self.rng.i64(..),
            _ => self.rng.i64(-3..300),
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = self.rng.usize(0..14);
        match self.rng.u8(0..4) {
            0 if !self.is_json() => (0..length).map(|_| self.rng.u8(..)).collect(),
            1 => (0..length).map(|_| *self.rng.choice(b"\";:{}|0123 sia").unwrap()).collect(),
            2 => "été 😀".bytes().collect(),
            _ => (0..length).map(|_| self.rng.u8(b'a'..=b'z')).collect(),
        }
    }

    fn array(&mut self, depth: usize) {
        let count = if self.rng.u8(0..30) == 0 { 40 } else { self.rng.usize(0..6) };
        self.text(&format!("a:{count}:{{"));
        let list = self.rng.bool();
        for number in 0..count {
            match self.rng.u8(0..8) {
                _ if list => self.text(&format!("i:{number};")),
                0 if self.with.repeats => self.text(&format!("i:{};", count - number)),
                0 => self.text(&format!("i:{};", 7 * number)),
                1 if self.with.repeats => {
                    let number = self.rng.i64(-5..5).to_string();
                    self.string("s", number.as_bytes());
                }
                1 => self.string("s", (7 * number + 1).to_string().as_bytes()),
                2 if self.with.repeats => {
                    let number = self.int();
                    self.text(&format!("i:{number};"));
                }
                _ => self.short_name(number),
            }
            self.value(depth + 1);
        }
        self.text("}");
    }

    /// The name of the entry with this number.
    fn short_name(&mut self, number: usize) {
        if self.with.repeats {
            let name = [b'a' + self.rng.u8(0..20)];
            let length = usize::from(self.rng.u8(0..30) > 0);
            self.string("s", &name[..length]);
        } else {
            self.string("s", format!("n{number}").as_bytes());
        }
    }

    fn object(&mut self, depth: usize) {
        let classes = ["stdClass", "App\\Missing", "Gone_1", "Bag", "Vis", "Old"];
        let known = if self.with.classes { classes.len() } else { 3 };
        let class = *self.rng.choice(&classes[..known]).unwrap();
        let head = format!("O:{}:\"{class}\"", class.len());
        match class {
            "Old" => {
                let payload = self.bytes();
                self.text(&format!("C:3:\"Old\":{}:{{", payload.len()));
                self.out.extend_from_slice(&payload);
                return self.text("}");
            }
            "Vis" => {
                self.text(&format!("{head}:3:{{"));
                for name in ["pub", "\0*\0prot", "\0Vis\0priv"] {
                    self.string("s", name.as_bytes());
                    self.value(depth + 1);
                }
            }
            _ => {
                let count = self.rng.usize(0..4);
                self.text(&format!("{head}:{count}:{{"));
                for number in 0..count {
                    if class == "Bag" && self.rng.bool() {
                        self.text(&format!("i:{number};"));
                    } else {
                        self.short_name(number);
                    }
                    self.value(depth + 1);
                }
            }
        }
        self.text("}");
    }
}

/// Any float: of any bits, or one that people use.
#[expect(clippy::cast_precision_loss, reason = "the number has no more than 53 bits")]
pub(crate) fn any_float(rng: &mut Rng) -> f64 {
    match rng.u8(0..9) {
        0 => f64::from_bits(rng.u64(..)),
        1 => *rng.choice(&[0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 5e-324]).unwrap(),
        2 => f64::from(rng.i32(..)) / 100.0,
        3 => rng.f64(),
        4 => 10_f64.powi(rng.i32(-30..30)),
        // Two decimals may be equally near to one of these.
        8 => rng.u64(1 << 48..1 << 53) as f64 / f64::from(1 << rng.u8(0..6)),
        5 => f64::from(rng.i32(..)) * 10_f64.powi(rng.i32(-20..20)),
        _ => f64::from(rng.i32(-1000..1000)),
    }
}

/// A float in a form that PHP reads, though it may write another.
fn float_text(float: f64) -> String {
    if float.is_nan() {
        "NAN".to_owned()
    } else if float.is_infinite() {
        if float > 0.0 { "INF".to_owned() } else { "-INF".to_owned() }
    } else {
        format!("{float:e}")
    }
}
