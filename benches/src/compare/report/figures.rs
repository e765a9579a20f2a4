//! Figures as people read them.

/// As in `1.24 M`, `12.4 k`, `124`, `1.2`.
pub(crate) fn compact(figure: f64) -> String {
    let (scaled, unit) = match figure {
        f if f >= 1e6 => (f / 1e6, " M"),
        f if f >= 1e4 => (f / 1e3, " k"),
        f => (f, ""),
    };
    format!("{}{unit}", three_digits(scaled))
}

fn three_digits(figure: f64) -> String {
    let decimals = match figure {
        f if f >= 99.95 => 0,
        f if f >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{figure:.decimals$}");
    if text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}

/// A time given in microseconds.
pub(crate) fn time(micros: f64) -> String {
    match micros {
        m if m <= 0.0 => "–".to_owned(),
        m if m < 1e3 => format!("{} µs", three_digits(m)),
        m if m < 1e6 => format!("{} ms", three_digits(m / 1e3)),
        m => format!("{} s", three_digits(m / 1e6)),
    }
}

pub(crate) fn percent(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
}

/// As in `1.3 ×`.
pub(crate) fn times(factor: f64) -> String {
    format!("{} ×", three_digits(factor))
}

pub(crate) fn bytes(count: f64) -> String {
    match count {
        b if b >= 1048576.0 => format!("{} MiB", three_digits(b / 1048576.0)),
        b if b >= 1024.0 => format!("{} KiB", three_digits(b / 1024.0)),
        b => format!("{b:.0} B"),
    }
}

/// As in `evalsha 1, get 0.5`.
pub(crate) fn calls(calls: &[(String, f64)]) -> String {
    let one = |(name, count): &(String, f64)| format!("{name} {}", three_digits(*count));
    calls.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn list(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits() {
        assert_eq!(compact(1_236_000.0), "1.24 M");
        assert_eq!(compact(12_340.0), "12.3 k");
        assert_eq!(compact(9_876.0), "9876");
        assert_eq!(compact(1.0), "1");
        assert_eq!((time(23.45).as_str(), time(1_500.0).as_str()), ("23.4 µs", "1.5 ms"));
        assert_eq!((percent(0.954).as_str(), times(1.333).as_str()), ("95 %", "1.33 ×"));
    }

    #[test]
    fn a_list_reads_as_a_sentence() {
        assert_eq!(list(&["a".to_owned(), "b".to_owned(), "c".to_owned()]), "a, b and c");
    }
}
