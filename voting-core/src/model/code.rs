//! Voter codes: one for each voter of a poll, on paper or in a link.
//!
//! A code is 4 bytes of serial number and 6 bytes of tag, as 16 characters of Crockford's base 32:
//! `XXXX-XXXX-XXXX-XXXX`. The tag covers the poll, the serial number and the generation. So a code is checked without a
//! look-up: its serial number was issued, its generation is the current one, and its tag is right.

use std::{fmt, str::FromStr};

use crate::model::{id::PollId, secret::MacKey};

/// Numbers the codes of a poll, from 0.
pub type Serial = u32;

/// How often a code was replaced.
pub type Generation = u8;

const TAG_LEN: usize = 6;

/// The characters of a code, without hyphens.
const CHARS: usize = 16;

/// Crockford's base 32: no I, L, O and U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A code as somebody has typed it. Whether it is one of a poll is for [`CodeTags::verify`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct VoterCode {
    serial: Serial,
    tag: [u8; TAG_LEN],
}

/// The text is not a code. It is not repeated, since it may be one with a slip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a code: a code has 16 letters and digits, such as 0000-1234-ABCD-EFGH")]
pub struct InvalidCode;

impl VoterCode {
    #[cfg(test)]
    pub(crate) fn from_parts(serial: Serial, tag: [u8; TAG_LEN]) -> Self {
        Self { serial, tag }
    }

    /// The serial number.
    pub fn serial(&self) -> Serial {
        self.serial
    }
}

impl FromStr for VoterCode {
    type Err = InvalidCode;

    /// Reads what people type: small letters, O for 0, I and L for 1, with spaces and hyphens anywhere or nowhere.
    fn from_str(text: &str) -> Result<Self, InvalidCode> {
        let mut bits: u128 = 0;
        let mut count = 0;
        for char in text.chars() {
            let char = match char.to_ascii_uppercase() {
                // Phones and word processors make other hyphens and spaces of them.
                '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '_' | '.' => continue,
                space if space.is_whitespace() => continue,
                'O' => '0',
                'I' | 'L' => '1',
                char => char,
            };
            let place = ALPHABET.iter().position(|known| char::from(*known) == char);
            count += 1;
            let (Some(place), true) = (place, count <= CHARS) else {
                return Err(InvalidCode);
            };
            bits = bits << 5 | place as u128;
        }
        if count != CHARS {
            return Err(InvalidCode);
        }
        let bytes = bits.to_be_bytes();
        let (mut serial, mut tag) = ([0; 4], [0; TAG_LEN]);
        serial.copy_from_slice(&bytes[6..10]);
        tag.copy_from_slice(&bytes[10..]);
        Ok(Self {
            serial: Serial::from_be_bytes(serial),
            tag,
        })
    }
}

impl fmt::Display for VoterCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; 16];
        bytes[6..10].copy_from_slice(&self.serial.to_be_bytes());
        bytes[10..].copy_from_slice(&self.tag);
        let bits = u128::from_be_bytes(bytes);
        let mut text = [b'-'; CHARS + 3];
        for index in 0..CHARS {
            let place = usize::try_from(bits >> (5 * (CHARS - 1 - index)) & 31).unwrap_or(0);
            text[index + index / 4] = ALPHABET[place];
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// Shows the serial number only: whoever has the code can vote with it.
impl fmt::Debug for VoterCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VoterCode({}, …)", self.serial)
    }
}

/// Makes and checks the codes of one poll.
#[derive(Clone)]
pub struct CodeTags {
    poll: PollId,
    key: MacKey,
}

impl CodeTags {
    pub(crate) fn new(poll: &PollId, key: MacKey) -> Self {
        Self {
            poll: poll.clone(),
            key,
        }
    }

    fn tag(&self, serial: Serial, generation: Generation) -> [u8; 16] {
        // A poll's id has no zero byte.
        let mut message = Vec::with_capacity(PollId::MAX_LEN + 6);
        message.extend(self.poll.as_str().as_bytes());
        message.push(0);
        message.extend(serial.to_be_bytes());
        message.push(generation);
        self.key.tag(&message)
    }

    /// The code of this serial number and generation.
    pub fn code(&self, serial: Serial, generation: Generation) -> VoterCode {
        let mut tag = [0; TAG_LEN];
        tag.copy_from_slice(&self.tag(serial, generation)[..TAG_LEN]);
        VoterCode { serial, tag }
    }

    /// Whether the code is one of this poll, and of this generation, in time that does not depend on where it differs.
    pub fn verify(&self, code: &VoterCode, generation: Generation) -> bool {
        let right = self.tag(code.serial, generation);
        let differences = code.tag.iter().zip(&right);
        let differences = differences.fold(0, |all, (given, right)| all | (given ^ right));
        std::hint::black_box(differences) == 0
    }
}

impl fmt::Debug for CodeTags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeTags(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::secret::SecretKey;

    fn tags(poll: &str, byte: u8) -> CodeTags {
        let key = SecretKey::new([byte; 32]).unwrap().derive("codes 1");
        CodeTags::new(&poll.parse().unwrap(), key)
    }

    #[test]
    fn a_tired_person_is_understood() {
        let code = VoterCode {
            serial: 0x0010_8421,
            tag: [0x08, 0x42, 0x10, 0x84, 0x21, 0x00],
        };
        let text = code.to_string();
        assert_eq!(text.len(), 19);
        let typed = [
            text.clone(),
            text.to_lowercase(),
            text.replace('-', ""),
            text.replace('-', " "),
            format!("  {} \t", text.replace('-', " - ")),
            text.replace('0', "o").replace('1', "l"),
            text.replace('0', "O").replace('1', "I"),
            text.replace('-', "\u{2013}"),
        ];
        for typed in typed {
            assert_eq!(typed.parse(), Ok(code), "{typed:?}");
        }
        let bad = [
            "",
            "-",
            "0000-1234-ABCD-EFG",
            "0000-1234-ABCD-EFGH0",
            "0000-1234-ABCD-EFGU",
            "ä000-1234-ABCD-EFGH",
        ];
        for bad in bad {
            assert_eq!(bad.parse::<VoterCode>(), Err(InvalidCode), "{bad:?}");
        }
    }

    #[test]
    fn a_code_is_not_printed_by_accident() {
        let code = tags("p", 1).code(17, 0);
        assert_eq!(format!("{code:?}"), "VoterCode(17, …)");
    }

    proptest! {
        #[test]
        fn a_code_reads_back(serial: u32, generation: u8) {
            let tags = tags("p", 1);
            let code = tags.code(serial, generation);
            let read: VoterCode = code.to_string().parse().unwrap();
            prop_assert_eq!(read, code);
            prop_assert_eq!(read.serial(), serial);
            prop_assert!(tags.verify(&read, generation));
        }

        #[test]
        fn a_code_is_of_one_poll_one_key_and_one_generation(serial: u32, generation: u8, other: u8) {
            prop_assume!(generation != other);
            let code = tags("p", 1).code(serial, generation);
            prop_assert!(!tags("p", 1).verify(&code, other));
            prop_assert!(!tags("q", 1).verify(&code, generation));
            prop_assert!(!tags("p", 2).verify(&code, generation));
        }

        #[test]
        fn a_code_with_another_character_is_another_code(serial: u32, place in 0usize..16, to in 0usize..32) {
            let tags = tags("p", 1);
            let code = tags.code(serial, 0);
            let mut text = code.to_string().replace('-', "").into_bytes();
            prop_assume!(text[place] != ALPHABET[to]);
            text[place] = ALPHABET[to];
            let forged: VoterCode = String::from_utf8(text).unwrap().parse().unwrap();
            prop_assert!(!tags.verify(&forged, 0));
        }

        #[test]
        fn any_text_is_a_code_or_is_refused(text: String) {
            if let Ok(code) = text.parse::<VoterCode>() {
                prop_assert_eq!(code.to_string().parse(), Ok(code));
            }
        }
    }
}
