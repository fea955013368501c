//! `weir canary`: values to plant in prompts, documents and databases.
//!
//! A canary looks like what stands around it, is random, and is used nowhere: whoever sends
//! it on has read what nobody should have read. The rule that finds it is printed beside it.

use anyhow::anyhow;
use clap::{Args, Subcommand, ValueEnum};
use uuid::Uuid;

use super::Done;
use super::failure::Failure;
use super::out::Out;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Makes a value to plant, and prints the rule that finds it.
    ///
    /// The first line is a comment with the value; the whole is a rule file. Keep it where the
    /// agents cannot read it: `weir canary new crm --shape email >> patterns/canaries/crm.yml`.
    /// `canaries: { halt: session }` in the policy stops a session in which it turns up.
    New(NewArgs),
}

#[derive(Args)]
pub(super) struct NewArgs {
    /// Names the place where it is planted: letters, digits and underscores
    name: String,

    /// What it looks like
    #[arg(long, value_enum, default_value_t = Shape::Id)]
    shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// An identifier of 32 letters and digits
    Id,
    /// A UUID
    Uuid,
    /// A mail address at a domain that can never exist
    Email,
    /// A web address at a domain that can never exist
    Url,
    /// An access key of AWS
    AwsKey,
    /// A name of an internal project, in words
    Words,
}

/// Words that stand beside one another nowhere.
const WORDS: [&str; 64] = [
    "amber", "anvil", "aspen", "basalt", "birch", "bison", "cedar", "cobalt", "comet", "coral",
    "crane", "delta", "ember", "falcon", "fennel", "flint", "garnet", "ginger", "glacier",
    "granite", "harbor", "hazel", "heron", "indigo", "iris", "ivory", "jasper", "juniper", "kelp",
    "kestrel", "lagoon", "larch", "lilac", "lynx", "maple", "marble", "meadow", "nectar", "nimbus",
    "ocean", "olive", "onyx", "opal", "orchid", "osprey", "otter", "pepper", "pine", "quartz",
    "quill", "raven", "reed", "saffron", "sable", "sequoia", "slate", "sparrow", "tundra", "umber",
    "velvet", "walnut", "willow", "yarrow", "zephyr",
];

pub(super) fn run(command: &Command, out: &mut Out) -> Result<Done, Failure> {
    let Command::New(args) = command;
    let name = &args.name;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || name.len() > 40 || !name.chars().all(plain) {
        return Err(Failure::usage(anyhow!("`{name}` is no name for a canary"))
            .hint("1 to 40 of a-z, 0-9 and `_`, such as crm or board_minutes"));
    }
    // Random bytes of the system, 122 bits of each.
    let random = [Uuid::new_v4(), Uuid::new_v4()].map(Uuid::into_bytes).concat();
    out.text(&rule(name, args.shape, &random))?;
    Ok(Done::Well)
}

/// A value of a shape, from random bytes.
fn value(shape: Shape, random: &[u8]) -> String {
    let letters = |alphabet: &[u8], n: usize| -> String {
        let letter = |byte: &u8| char::from(alphabet[usize::from(*byte) % alphabet.len()]);
        random.iter().take(n).map(letter).collect()
    };
    // Alphabets whose length divides 256: every letter is as likely as every other.
    let low = |n| letters(b"abcdefghijkmnpqrstuvwxyz23456789", n);
    match shape {
        Shape::Id => low(32),
        Shape::Uuid => {
            let bytes = random.first_chunk::<16>().copied().unwrap_or_default();
            Uuid::from_bytes(bytes).to_string()
        }
        Shape::Email => {
            let words = words(random);
            format!("{}.{}@{}.example", words[0], words[1], low(12))
        }
        Shape::Url => format!("https://{}.example/{}", words(random)[2], low(20)),
        Shape::AwsKey => format!("AKIA{}", letters(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)),
        Shape::Words => words(random).join(" "),
    }
}

fn words(random: &[u8]) -> [&'static str; 5] {
    let mut out = [""; 5];
    for (word, byte) in out.iter_mut().zip(random.iter().rev()) {
        *word = WORDS[usize::from(*byte) % WORDS.len()];
    }
    out
}

/// The rule file that finds the value.
fn rule(name: &str, shape: Shape, random: &[u8]) -> String {
    let value = value(shape, random);
    let look = match shape {
        // In words it may come back in other cases and with other signs between.
        Shape::Words => format!("phrase: \"{value}\""),
        _ => format!("regex: '(?i){}'", regex::escape(&value)),
    };
    // One letter more or less is another value.
    let other: String = value.chars().rev().collect();
    format!(
        "# Plant this: {value}\n\
         rules:\n  \
         - id: canaries.{name}\n    \
         name: Canary {name}\n    \
         message: a value that was planted in `{name}` has turned up\n    \
         family: canaries\n    \
         type: canary.{name}\n    \
         severity: critical\n    \
         confidence: high\n    \
         action: block\n    \
         {look}\n    \
         tags: [OWASP-LLM02, OWASP-LLM07]\n    \
         references: [\"https://en.wikipedia.org/wiki/Canary_trap\"]\n    \
         examples: [\"see {value} there\"]\n    \
         negative_examples: [\"see {other} there\"]\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::selftest;
    use crate::patterns::{SourceFile, load};

    #[test]
    fn every_canary_comes_with_a_rule_that_finds_it() {
        for shape in Shape::value_variants() {
            for seed in 0..4_u8 {
                let random: Vec<u8> =
                    (0..32).map(|n: u8| n.wrapping_mul(37) ^ (seed * 61)).collect();
                let text = rule("crm", *shape, &random);
                let path = "canaries/crm.yml".to_owned();
                let set = load(&[SourceFile { path, text: text.clone() }])
                    .unwrap_or_else(|errors| panic!("{errors:?} in\n{text}"));
                let failures = selftest(&set).unwrap();
                assert!(failures.is_empty(), "{failures:?} in\n{text}");
            }
        }
    }
}
