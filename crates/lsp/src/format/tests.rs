use super::*;
use hesper_stack::syntax::SyntaxOptions;
use proptest::prelude::*;

const SPACES: Spaces<'static> = Spaces {
    indent: "  ",
    line_end: "\n",
};

fn tree(text: &str) -> SyntaxTree<'static> {
    SyntaxTree::new(text, &SyntaxOptions::default())
}

fn formatted(text: &str) -> String {
    format(text, &tree(text), &SPACES).expect("readable")
}

fn lines(text: &str) -> Vec<String> {
    formatted(text).lines().map(str::to_owned).collect()
}

#[test]
fn a_word_and_its_literals_are_a_line() {
    assert_eq!(
        lines("name,sps,:eq,nf.app,www,:eq,:and,:sum,(,nf.cluster,),:by"),
        [
            "name,sps,:eq,",
            "  nf.app,www,:eq,",
            ":and,",
            ":sum,",
            "(,nf.cluster,),:by"
        ]
    );
    assert_eq!(lines("42"), ["42"]);
    assert_eq!(formatted(""), "");
}

#[test]
fn operands_are_indented_and_finished_expressions_are_not() {
    assert_eq!(
        lines("a,:has,:sum,b,:has,:sum,:div,100,:mul,c,:has,:max,d,:legend"),
        [
            "a,:has,",
            ":sum,",
            "  b,:has,",
            "  :sum,",
            ":div,",
            "100,:mul,",
            "c,:has,",
            ":max,",
            "d,:legend"
        ]
    );
    assert_eq!(
        lines("a,:has,:dup,:freeze,b,:has"),
        ["a,:has,", ":dup,", ":freeze,", "b,:has"]
    );
}

#[test]
fn long_lists_and_programs_are_broken() {
    let keys = "nf.application,nf.cluster,nf.availability.zone,nf.server.group";
    assert_eq!(
        lines(&format!("a,:has,(,{keys},),:by")),
        [
            "a,:has,",
            "(,",
            "  nf.application,",
            "  nf.cluster,",
            "  nf.availability.zone,",
            "  nf.server.group,",
            "),:by"
        ]
    );
    assert_eq!(
        lines("f,(,name,requests.per.second,:eq,nf.app,an.application,:eq,:and,:sum,),:set"),
        [
            "f,(,",
            "  name,requests.per.second,:eq,",
            "  nf.app,an.application,:eq,",
            "  :and,",
            "  :sum,",
            "),:set"
        ]
    );
}

#[test]
fn comments_keep_their_place() {
    let text = "/* head */\na,:has, /* tail */ :sum,\n\n/* between\n  lines */\nb,/* in */c,:eq,\n(,x,/* y */ z,),:by\n/* end */";
    assert_eq!(
        formatted(text),
        "/* head */\na,:has, /* tail */\n:sum,\n\n/* between\n  lines */\nb, /* in */ c,:eq,\n(,\n  x, /* y */\n  z,\n),:by\n/* end */"
    );
    assert_eq!(lines("a,:h/*x*/as"), ["a,:h/*x*/as"]);
    assert!(format("a,/*", &tree("a,/*"), &SPACES).is_none());
}

#[test]
fn one_line_holds_it_all() {
    let line = |text: &str| on_one_line(text, &tree(text)).expect("readable");
    assert_eq!(
        line(" a ,\n:has,/* x\n*/ ,\n :sum /* y */"),
        "a,:has,/* x\n*/:sum /* y */"
    );
}

#[test]
fn deep_lists_stay_on_a_line() {
    let text = format!("{}x,/* y */{}", "(,".repeat(5_000), "),".repeat(5_000));
    let formatted = formatted(&text);
    assert_eq!(content(&formatted), content(&text));
    assert!(formatted.lines().count() < 2 * MAX_DEPTH + 2);
}

fn program() -> impl Strategy<Value = String> {
    let token = proptest::sample::select(vec![
        "a",
        "name",
        ":eq",
        ":sum",
        ":by",
        ":and",
        ":dup",
        ":swap",
        ":drop",
        ":freeze",
        ":set",
        ":get",
        ":call",
        ":nope",
        "(",
        ")",
        "(,a,b,)",
        "(,:dup,:add,)",
        "1",
        "b*",
        "/c",
        "d/",
        ":s/*x*/um",
        "(,abcdefghijklmnopqrstuvwxyz,abcdefghijklmnopqrstuvwxyz,:eq,abcdefgh,)",
        "b,1,:eq",
        "c,2,:eq",
        "é\u{2003}",
    ]);
    let space = proptest::sample::select(vec![
        "",
        "",
        "",
        " ",
        "\n",
        "\n\n",
        "\r\n",
        " /* c */ ",
        "/* d */",
        "\n/* e */\n",
        "/* f\n g */",
        " ,/* h */, ",
        "/* /* i */ , */\n",
    ]);
    proptest::collection::vec((space.clone(), token, space), 0..16).prop_map(|parts| {
        let parts: Vec<String> = parts
            .into_iter()
            .map(|(before, token, behind)| format!("{before}{token}{behind}"))
            .collect();
        parts.join(",")
    })
}

/// The tokens of a program, and its comments.
fn content(text: &str) -> (Vec<String>, Vec<String>) {
    let tree = tree(text);
    assert!(tree.is_readable(), "{text}");
    (
        tree.tokens().iter().map(|t| t.text.to_string()).collect(),
        tree.comments()
            .iter()
            .map(|c| text[c.clone()].to_owned())
            .collect(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_program_stays_the_same(text in program()) {
        prop_assume!(tree(&text).is_readable());
        let formatted = formatted(&text);
        prop_assert_eq!(content(&formatted), content(&text), "{}", formatted);
        let line = on_one_line(&text, &tree(&text)).expect("readable");
        prop_assert_eq!(content(&line), content(&text), "{}", line);
    }

    #[test]
    fn what_is_formatted_stays_as_it_is(text in program()) {
        prop_assume!(tree(&text).is_readable());
        let once = formatted(&text);
        prop_assert_eq!(formatted(&once), once.clone(), "from {:?}", text);
        prop_assert!(!once.lines().any(|line| line.ends_with([' ', '\t'])));
    }
}
