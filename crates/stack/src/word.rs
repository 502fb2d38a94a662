//! The definition of a word: its name, what it takes and gives, what it does, and how that is told to people. Help, completion and
//! reference pages are made from it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::error::StackError;
use crate::expr::StyleExpr;
use crate::interpreter::Machine;
use crate::kind::Kind;
use crate::value::Value;

/// A word of the language.
pub struct Word {
    name: Cow<'static, str>,
    effect: Effect,
    summary: Cow<'static, str>,
    examples: Vec<Cow<'static, str>>,
    body: Body,
    passes_style: bool,
    suggested: bool,
}

/// An operand of a word.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name in the signature; empty for the expression that a word is applied to.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
}

/// An operand with a name.
pub(crate) const fn named(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind }
}

/// The operand that a word is applied to.
pub(crate) const fn plain(kind: Kind) -> Parameter {
    Parameter { name: "", kind }
}

/// What a word takes off the stack and puts back.
enum Effect {
    /// Operands of certain kinds, the top of the stack last.
    Typed {
        takes: Vec<Parameter>,
        gives: Vec<Kind>,
    },
    /// What only the word itself can say.
    Own {
        signature: &'static str,
        fits: fn(&[Value]) -> bool,
    },
}

type Run = dyn Fn(&mut Machine<'_>) -> Result<(), StackError> + Send + Sync;

enum Body {
    Native(Box<Run>),
    Program(Vec<Value>),
}

impl Word {
    /// A word that takes operands of certain kinds off the top of the stack.
    pub(crate) fn typed(
        name: impl Into<Cow<'static, str>>,
        takes: &[Parameter],
        gives: &[Kind],
        run: impl Fn(&mut Machine<'_>) -> Result<(), StackError> + Send + Sync + 'static,
    ) -> Self {
        let effect = Effect::Typed {
            takes: takes.to_vec(),
            gives: gives.to_vec(),
        };
        Self::with(name.into(), effect, Body::Native(Box::new(run)))
    }

    /// A word that looks at the stack itself: `fits` tells whether it can run, with the top of the stack last.
    pub(crate) fn own(
        name: impl Into<Cow<'static, str>>,
        signature: &'static str,
        fits: fn(&[Value]) -> bool,
        run: impl Fn(&mut Machine<'_>) -> Result<(), StackError> + Send + Sync + 'static,
    ) -> Self {
        let effect = Effect::Own { signature, fits };
        Self::with(name.into(), effect, Body::Native(Box::new(run)))
    }

    /// A word that stands for a program, run on operands of certain kinds.
    pub(crate) fn program(
        name: &'static str,
        takes: &[Parameter],
        gives: &[Kind],
        program: &[&'static str],
    ) -> Self {
        let effect = Effect::Typed {
            takes: takes.to_vec(),
            gives: gives.to_vec(),
        };
        let program = program.iter().map(|token| Value::text(*token)).collect();
        Self::with(name.into(), effect, Body::Program(program))
    }

    /// A word that stands for a program, run on whatever there is.
    pub(crate) fn free_program(
        name: impl Into<Cow<'static, str>>,
        program: &[impl AsRef<str>],
    ) -> Self {
        let effect = Effect::Own {
            signature: "? -- ?",
            fits: |_| true,
        };
        let program = program.iter().map(|token| Value::text(token.as_ref()));
        Self::with(name.into(), effect, Body::Program(program.collect()))
    }

    fn with(name: Cow<'static, str>, effect: Effect, body: Body) -> Self {
        Self {
            name,
            effect,
            summary: Cow::Borrowed(""),
            examples: Vec::new(),
            body,
            passes_style: false,
            suggested: true,
        }
    }

    /// What it does, in a sentence or two.
    pub(crate) fn summary(mut self, summary: impl Into<Cow<'static, str>>) -> Self {
        self.summary = summary.into();
        self
    }

    /// Stacks to try it on; with `ERROR:` before those that it refuses.
    pub(crate) fn examples(mut self, examples: &[&'static str]) -> Self {
        self.examples = examples.iter().map(|e| Cow::Borrowed(*e)).collect();
        self
    }

    /// Stacks to try it on that come from a configuration; see [`Self::examples`].
    pub(crate) fn configured_examples(mut self, examples: &[String]) -> Self {
        self.examples = examples.iter().map(|e| Cow::Owned(e.clone())).collect();
        self
    }

    /// Takes expressions with settings too, and hands the settings on if only one operand had any.
    pub(crate) fn passing_style(mut self) -> Self {
        self.passes_style = true;
        self
    }

    /// Not to be suggested as the next word: it fits nearly everywhere, or is of little use.
    pub(crate) fn not_suggested(mut self) -> Self {
        self.suggested = false;
        self
    }

    /// The name, without the colon.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it does, in a sentence or two.
    pub fn summary_text(&self) -> &str {
        &self.summary
    }

    /// Stacks to try it on; with `ERROR:` before those that it refuses.
    pub fn example_stacks(&self) -> impl Iterator<Item = &str> {
        self.examples.iter().map(|e| &**e)
    }

    /// True when it is worth suggesting as the next word of a program.
    pub fn is_suggested(&self) -> bool {
        self.suggested
    }

    /// What it takes and gives: `k:String v:String -- Query`.
    pub fn signature(&self) -> String {
        match &self.effect {
            Effect::Own { signature, .. } => (*signature).to_owned(),
            Effect::Typed { takes, gives } => {
                let takes: Vec<String> = takes
                    .iter()
                    .map(|p| match p.name {
                        "" => p.kind.name().to_owned(),
                        name => format!("{name}:{}", p.kind.name()),
                    })
                    .collect();
                let gives: Vec<&str> = gives.iter().map(|k| k.name()).collect();
                format!("{} -- {}", takes.join(" "), gives.join(" "))
            }
        }
    }

    /// True when it can run on this stack, the top of which is last.
    pub fn fits(&self, stack: &[Value]) -> bool {
        match &self.effect {
            Effect::Own { fits, .. } => fits(stack),
            Effect::Typed { takes, .. } => {
                let styles = self.passes_style || matches!(self.body, Body::Program(_));
                stack.len() >= takes.len()
                    && takes
                        .iter()
                        .zip(&stack[stack.len() - takes.len()..])
                        .all(|(p, value)| {
                            let styled = styles
                                && p.kind == Kind::Series
                                && matches!(value, Value::Style(_));
                            styled || p.kind.accepts(value)
                        })
            }
        }
    }

    /// Runs on a stack that it fits.
    pub(crate) fn run(&self, machine: &mut Machine<'_>) -> Result<(), StackError> {
        match &self.body {
            Body::Program(program) => machine.call(program),
            Body::Native(run) if self.passes_style => {
                let style = self.take_style(machine.stack_mut());
                run(machine)?;
                if let Some(style) = style {
                    restore_style(machine.stack_mut(), &style);
                }
                Ok(())
            }
            Body::Native(run) => run(machine),
        }
    }

    /// Replaces styled operands by what they show. The style is given back if there was exactly one.
    fn take_style(&self, stack: &mut [Value]) -> Option<Arc<StyleExpr>> {
        let Effect::Typed { takes, .. } = &self.effect else {
            return None;
        };
        let first = stack.len().saturating_sub(takes.len());
        let mut styles = Vec::new();
        for value in &mut stack[first..] {
            if let Value::Style(style) = value {
                let style = style.clone();
                *value = Value::Expr(style.expr.clone());
                styles.push(style);
            }
        }
        if styles.len() == 1 {
            styles.pop()
        } else {
            None
        }
    }
}

fn restore_style(stack: &mut [Value], style: &StyleExpr) {
    if let Some(top) = stack.last_mut()
        && let Value::Expr(expr) = top
    {
        *top = Value::Style(Arc::new(StyleExpr {
            expr: expr.clone(),
            settings: style.settings.clone(),
        }));
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ":{} ({})", self.name, self.signature())
    }
}
