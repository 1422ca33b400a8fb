//! Estimates whether a secret could be guessed: how much of a text does not follow from the text before it. So it
//! finds repetitions and sequences, but not the words of a language.

/// The least strength, in bits. 32 random digits have 106 bits, 16 random bytes in hexadecimal have 128.
const ENOUGH: f64 = 90.0;

/// The bits of a repetition: where it begins, and how long it is.
const REPETITION: f64 = 8.0;

/// A repetition has at least this length.
const REPEATED: usize = 3;

/// An upper bound of the bits that must be guessed to find the text.
fn bits(text: &[u8]) -> f64 {
    let alphabet = alphabet(text).log2();
    let (mut at, mut bits) = (0, 0.0);
    while at < text.len() {
        let repeated = (0..at)
            .map(|from| matching(&text[from..], &text[at..]))
            .max()
            .unwrap_or(0);
        let sequence = sequence(text, at);
        let known = repeated.max(sequence);
        if known >= REPEATED {
            at += known;
            bits += REPETITION;
        } else {
            at += 1;
            bits += alphabet;
        }
    }
    bits
}

/// A kind of characters: the test for it, and the number of such characters.
type Kind = (fn(&u8) -> bool, f64);

/// How many different characters a text like this may contain, by the kinds of its characters.
fn alphabet(text: &[u8]) -> f64 {
    let hexadecimal = text.iter().all(u8::is_ascii_hexdigit);
    let kinds: [Kind; 4] = [
        (u8::is_ascii_digit, 10.0),
        (u8::is_ascii_lowercase, 26.0),
        (u8::is_ascii_uppercase, 26.0),
        (|byte| !byte.is_ascii_alphanumeric(), 33.0),
    ];
    let used = kinds.iter().filter(|(is_of, _)| text.iter().any(is_of));
    let size: f64 = used.map(|(_, size)| size).sum();
    if hexadecimal {
        size.min(16.0)
    } else {
        size.max(2.0)
    }
}

fn matching(from: &[u8], to: &[u8]) -> usize {
    from.iter().zip(to).take_while(|(a, b)| a == b).count()
}

/// How many characters from `at` on continue the two before them: aaa, abc, 321.
fn sequence(text: &[u8], at: usize) -> usize {
    let Some(&[first, second]) = at.checked_sub(2).map(|before| &text[before..at]) else {
        return 0;
    };
    let step = second.wrapping_sub(first);
    if !matches!(step, 0 | 1 | u8::MAX) {
        return 0;
    }
    let mut last = second;
    let follows = text[at..].iter().take_while(|byte| {
        last = last.wrapping_add(step);
        **byte == last
    });
    follows.count()
}

pub(crate) fn is_weak(text: &[u8]) -> bool {
    bits(text) < ENOUGH
}

#[cfg(test)]
mod tests {
    use data_encoding::{BASE32_NOPAD, BASE64, HEXLOWER};

    use super::*;

    #[test]
    fn what_follows_a_rule_is_weak() {
        for weak in [
            "a".repeat(32),
            "ab".repeat(64),
            "changeme".repeat(8),
            "password1234".repeat(3),
            "0123456789abcdef0123456789abcdef".to_owned(),
            "12345678901234567890123456789012".to_owned(),
            "abcdefghijklmnopqrstuvwxyz0123456789".to_owned(),
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".to_owned(),
            "zyxwvutsrqponmlkjihgfedcba987654".to_owned(),
            format!("{}b", "a".repeat(63)),
            "aaaaaaaabbbbbbbbccccccccdddddddd".to_owned(),
            "\0".repeat(32),
        ] {
            assert!(
                is_weak(weak.as_bytes()),
                "{weak}: {}",
                bits(weak.as_bytes())
            );
        }
    }

    #[test]
    fn what_is_random_is_not() {
        for _ in 0..2_000 {
            let mut bytes = [0; 32];
            getrandom::fill(&mut bytes).unwrap();
            for good in [
                HEXLOWER.encode(&bytes),
                HEXLOWER.encode(&bytes[..16]),
                BASE64.encode(&bytes[..24]),
                BASE32_NOPAD.encode(&bytes[..20]),
            ] {
                assert!(
                    !is_weak(good.as_bytes()),
                    "{good}: {}",
                    bits(good.as_bytes())
                );
            }
        }
        for good in [
            "the operator's token, 32 bytes or more",
            "7f1c2a8e-93b4-4d60-8e5f-0c9a6b1d2e3f",
        ] {
            assert!(
                !is_weak(good.as_bytes()),
                "{good}: {}",
                bits(good.as_bytes())
            );
        }
    }
}
