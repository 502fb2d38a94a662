//! Double exponential smoothing, with parameters to choose and with those that have proved their worth.

use super::stateful;
use crate::expr::StatefulOp;
use crate::kind::Kind;
use crate::vocabulary::math::rewrites::expansion;
use crate::word::{Parameter, Word, named, plain};

const PARAMETERS: [Parameter; 3] = [
    named("training", Kind::Int),
    named("alpha", Kind::Double),
    named("beta", Kind::Double),
];

pub(super) fn words() -> [Word; 2] {
    [
        stateful("des", &PARAMETERS, |m| {
            let beta = m.pop_double()?;
            let alpha = m.pop_double()?;
            let training = m.pop_int()?;
            Ok(StatefulOp::Des {
                training,
                alpha,
                beta,
            })
        })
        .summary(
            "A prediction by double exponential smoothing. It depends on where the graph starts; `:sdes` does not, as long as the step \
             stays the same.",
        )
        .examples(&["name,requestsPerSecond,:eq,:sum,5,0.1,0.5"])
        .not_suggested(),
        stateful("sdes", &PARAMETERS, |m| {
            let beta = m.pop_double()?;
            let alpha = m.pop_double()?;
            let training = m.pop_int()?;
            Ok(StatefulOp::SlidingDes {
                training,
                alpha,
                beta,
            })
        })
        .summary(
            "A prediction by two double exponential smoothings that take turns: one predicts while the other learns. Values before the \
             first multiple of the training are ignored.",
        )
        .examples(&["name,requestsPerSecond,:eq,:sum,5,0.1,0.5"]),
    ]
}

/// Training, α and β, by what the name of the word says of them.
const PRESETS: [(&str, &str, [&str; 3]); 4] = [
    ("des-simple", "sdes-simple", ["10", "0.1", "0.5"]),
    ("des-fast", "sdes-fast", ["10", "0.1", "0.02"]),
    ("des-slower", "sdes-slower", ["10", "0.05", "0.03"]),
    ("des-slow", "sdes-slow", ["10", "0.03", "0.04"]),
];

pub(super) fn presets() -> Vec<Word> {
    let preset = |name, word, [training, alpha, beta]: [&'static str; 3]| {
        expansion(
            name,
            plain(Kind::Series),
            &[":dup", training, alpha, beta, word],
        )
        .summary(format!(
            "The prediction of `{word}` with a training of {training}, α = {alpha} and β = {beta}."
        ))
        .examples(&["42"])
    };
    let mut words: Vec<Word> = Vec::new();
    words.extend(PRESETS.map(|(name, _, by)| preset(name, ":des", by).not_suggested()));
    words.extend(PRESETS.map(|(_, name, by)| preset(name, ":sdes", by)));
    words.push(epic_signal());
    words
}

fn epic_signal() -> Word {
    // What it takes goes to variables, under these names, which the program can read afterwards.
    let mut program = Vec::new();
    for name in [
        "noise",
        "minPercent",
        "maxPercent",
        "beta",
        "alpha",
        "trainingSize",
        "line",
    ] {
        program.extend([name, ":sset"]);
    }
    let get = |name| [name, ":get"];
    let mut set = |name, value: &[&[&'static str]]| {
        program.push(name);
        program.extend(value.concat());
        program.push(":set");
    };
    let percent = |name| [name, ":get", ":const"];
    let one = ["1.0", ":const"];
    let two = ["2.0", ":const"];
    set(
        "pred",
        &[
            &get("line"),
            &get("trainingSize"),
            &get("alpha"),
            &get("beta"),
            &[":des"],
        ],
    );
    set(
        "minPredNoiseBound",
        &[&get("pred"), &get("noise"), &[":sub"]],
    );
    set(
        "minPredPercentBound",
        &[
            &get("pred"),
            &one,
            &percent("minPercent"),
            &[":fsub", ":fmul"],
        ],
    );
    set(
        "maxPredNoiseBound",
        &[&get("pred"), &get("noise"), &[":add"]],
    );
    set(
        "maxPredPercentBound",
        &[
            &get("pred"),
            &two,
            &one,
            &percent("maxPercent"),
            &[":fsub", ":fsub", ":fmul"],
        ],
    );
    for (bounds, beyond) in [
        (["minPredNoiseBound", "minPredPercentBound"], ":lt"),
        (["maxPredNoiseBound", "maxPredPercentBound"], ":gt"),
    ] {
        for bound in bounds {
            program.extend(["line", ":get", bound, ":get", beyond]);
        }
        program.push(":and");
    }
    program.push(":or");
    Word::free_program("des-epic-signal", &program)
        .summary(
            "1 where a line leaves the prediction of `:des` by more than the noise and more than the percentage of that side: \
             training, α, β, the highest and the lowest percentage (NaN for none) and the noise stand behind the line.",
        )
        .examples(&["name,sps,:eq,:sum,10,0.1,0.5,0.2,0.2,4"])
        .not_suggested()
}
