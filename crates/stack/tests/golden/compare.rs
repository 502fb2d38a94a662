//! Whether two answers are the same, where numbers may differ by a billionth.

use serde_json::Value;

/// Where, and how, the answers differ; `None` when they do not.
pub fn difference(want: &Value, got: &Value, at: &str) -> Option<String> {
    if let (Some(w), Some(g)) = (number(want), number(got))
        && (want.is_number() || got.is_number())
    {
        let close = (w - g).abs() <= 1e-9 + 1e-9 * w.abs().max(g.abs());
        let same = w == g || (w.is_nan() && g.is_nan()) || close;
        return (!same).then(|| format!("{at}: want {want}, got {got}"));
    }
    match (want, got) {
        (Value::Array(w), Value::Array(g)) => {
            if w.len() != g.len() {
                return Some(format!("{at}: want {} items, got {}", w.len(), g.len()));
            }
            let mut pairs = w.iter().zip(g).enumerate();
            pairs.find_map(|(i, (w, g))| difference(w, g, &format!("{at}[{i}]")))
        }
        (Value::Object(w), Value::Object(g)) => {
            if let Some(key) = g.keys().find(|k| !w.contains_key(*k)) {
                return Some(format!("{at}.{key}: unexpected"));
            }
            w.iter().find_map(|(key, w)| match g.get(key) {
                None => Some(format!("{at}.{key}: missing")),
                Some(g) => difference(w, g, &format!("{at}.{key}")),
            })
        }
        _ => (want != got).then(|| format!("{at}: want {want}, got {got}")),
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) => n.as_f64(),
        Value::String(s) => match s.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}
