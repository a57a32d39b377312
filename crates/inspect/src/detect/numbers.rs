//! Numbers with check digits: payment cards (ISO/IEC 7812) and bank accounts (ISO 13616).

use std::ops::Range;

/// Issuers: name, first digits from and to (as many digits as written), lengths.
const ISSUERS: &[(&str, u32, u32, &[usize])] = &[
    ("Visa", 4, 4, &[13, 16, 19]),
    ("Mastercard", 51, 55, &[16]),
    ("Mastercard", 2221, 2720, &[16]),
    ("American Express", 34, 34, &[15]),
    ("American Express", 37, 37, &[15]),
    ("Discover", 6011, 6011, &[16, 19]),
    ("Discover", 644, 649, &[16, 19]),
    ("Discover", 65, 65, &[16, 19]),
    ("JCB", 3528, 3589, &[16, 19]),
    ("Diners Club", 300, 305, &[14, 16]),
    ("Diners Club", 3095, 3095, &[14, 16]),
    ("Diners Club", 36, 36, &[14]),
    ("Diners Club", 38, 39, &[14, 16]),
    ("UnionPay", 62, 62, &[16, 17, 18, 19]),
    ("Maestro", 5018, 5018, &[16, 18, 19]),
    ("Maestro", 5020, 5020, &[16, 18, 19]),
    ("Maestro", 5038, 5038, &[16, 18, 19]),
    ("Maestro", 6304, 6304, &[16, 18, 19]),
    ("Maestro", 6759, 6759, &[16, 18, 19]),
    ("Mir", 2200, 2204, &[16, 19]),
];

/// How cards are grouped when they are.
const GROUPINGS: &[&[usize]] =
    &[&[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4], &[4, 4, 4, 4, 3], &[4, 4, 4, 1], &[8, 8], &[6, 13], &[4, 4, 5]];

/// IBAN lengths by country (ISO 13616 registry).
const COUNTRIES: &[(&str, usize)] = &[
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BI", 27),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DJ", 27),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FK", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HN", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MN", 20),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NI", 28),
    ("NL", 18),
    ("NO", 15),
    ("OM", 23),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("RU", 33),
    ("SA", 24),
    ("SC", 31),
    ("SD", 18),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("SO", 23),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("VG", 24),
    ("XK", 20),
    ("YE", 30),
];

/// Finds card numbers: span, issuer, last four digits. A number inside a longer one is none.
pub(super) fn cards(text: &str, found: &mut dyn FnMut(Range<usize>, &'static str, &str)) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(start) = next_digits(bytes, at) {
        let alone =
            start.checked_sub(1).and_then(|i| bytes.get(i)).is_none_or(|b| !b.is_ascii_alphanumeric() && *b != b'_');
        at = start + digits_at(bytes, start);
        if !alone {
            continue;
        }
        if let Some((end, digits)) = card_at(bytes, start)
            && let Some(issuer) = issuer_of(&digits).filter(|_| luhn(&digits))
        {
            found(start..end, issuer, &text[end - 4..end]);
            at = end;
        }
    }
}

/// The digits of a number in one piece or in a card's groups, and where it ends.
fn card_at(bytes: &[u8], start: usize) -> Option<(usize, Vec<u8>)> {
    let first = digits_at(bytes, start);
    let digits =
        |range: Range<usize>| bytes.get(range).unwrap_or_default().iter().copied().filter(u8::is_ascii_digit).collect();
    if first >= 13 {
        let end = start + first;
        return (first <= 19 && ends_at(bytes, end)).then(|| (end, digits(start..end)));
    }
    GROUPINGS.iter().filter(|groups| groups[0] == first).find_map(|groups| {
        let separator = *bytes.get(start + first)?;
        let mut end = start + first;
        for want in &groups[1..] {
            if bytes.get(end) != Some(&separator)
                || !matches!(separator, b' ' | b'-' | b'.')
                || digits_at(bytes, end + 1) != *want
            {
                return None;
            }
            end += 1 + want;
        }
        ends_at(bytes, end).then(|| (end, digits(start..end)))
    })
}

/// Whether no further digit belongs to a number that ends here.
fn ends_at(bytes: &[u8], end: usize) -> bool {
    let next = bytes.get(end);
    let then_digit = bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
    match next {
        Some(b'-' | b'.' | b'_') => !then_digit,
        Some(byte) => !byte.is_ascii_alphanumeric(),
        None => true,
    }
}

fn issuer_of(digits: &[u8]) -> Option<&'static str> {
    let distinct = digits.iter().fold(0u16, |seen, d| seen | 1 << (d - b'0')).count_ones();
    if distinct < 2 {
        return None;
    }
    let first = |count: u32| digits.iter().take(count as usize).fold(0, |n, d| n * 10 + u32::from(d - b'0'));
    ISSUERS
        .iter()
        .find(|(_, from, to, lengths)| {
            (*from..=*to).contains(&first(from.ilog10() + 1)) && lengths.contains(&digits.len())
        })
        .map(|(name, ..)| *name)
}

/// ISO/IEC 7812-1 annex B.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, d)| {
            let d = u32::from(d - b'0') << (i % 2);
            if d > 9 { d - 9 } else { d }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Finds IBANs, in one piece or in groups of four: span, country, last four characters.
pub(super) fn ibans(text: &str, found: &mut dyn FnMut(Range<usize>, &'static str, &str)) {
    let bytes = text.as_bytes();
    let mut at = 2;
    while let Some(digits) = next_digits(bytes, at) {
        at = digits + digits_at(bytes, digits);
        let Some(start) = digits.checked_sub(2) else { continue };
        let alone = start.checked_sub(1).and_then(|i| bytes.get(i)).is_none_or(|b| !b.is_ascii_alphanumeric());
        let letters = &bytes[start..digits];
        if !alone || !letters.iter().all(u8::is_ascii_alphabetic) {
            continue;
        }
        let Some((country, length)) = COUNTRIES.iter().find(|(code, _)| code.as_bytes().eq_ignore_ascii_case(letters))
        else {
            continue;
        };
        let Some(end) = iban_end(bytes, start, *length) else { continue };
        let plain: Vec<u8> = bytes[start..end].iter().copied().filter(|b| *b != b' ').collect();
        if mod_97(&plain) == 1 {
            let last: String = plain[plain.len() - 4..].iter().map(|b| char::from(*b)).collect();
            found(start..end, country, &last);
            at = end;
        }
    }
}

/// Where `length` letters and digits end, with single spaces between groups of four.
fn iban_end(bytes: &[u8], start: usize, length: usize) -> Option<usize> {
    let (mut at, mut taken) = (start, 0);
    while taken < length {
        match bytes.get(at)? {
            byte if byte.is_ascii_alphanumeric() => taken += 1,
            b' ' if taken % 4 == 0 && bytes.get(at + 1) != Some(&b' ') => {}
            _ => return None,
        }
        at += 1;
    }
    bytes.get(at).is_none_or(|b| !b.is_ascii_alphanumeric()).then_some(at)
}

/// The whole number with its first four characters moved to the end, letters as 10 to 35, modulo 97.
fn mod_97(iban: &[u8]) -> u32 {
    iban.iter().cycle().skip(4).take(iban.len()).fold(0, |rest, byte| match char::from(*byte).to_digit(36) {
        Some(digit) if digit > 9 => (rest * 100 + digit) % 97,
        Some(digit) => (rest * 10 + digit) % 97,
        None => rest,
    })
}

fn next_digits(bytes: &[u8], from: usize) -> Option<usize> {
    bytes.get(from..)?.iter().position(u8::is_ascii_digit).map(|at| from + at)
}

fn digits_at(bytes: &[u8], at: usize) -> usize {
    bytes.get(at..).unwrap_or_default().iter().take_while(|b| b.is_ascii_digit()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_need_an_issuer_a_length_and_a_check_digit() {
        for (text, issuer) in [
            ("4111111111111111", Some("Visa")),
            ("4111 1111 1111 1111", Some("Visa")),
            ("pay 4111-1111-1111-1111.", Some("Visa")),
            ("4111 1111 1111 1112", None),
            ("5555555555554444", Some("Mastercard")),
            ("2223003122003222", Some("Mastercard")),
            ("378282246310005", Some("American Express")),
            ("3782 822463 10005", Some("American Express")),
            ("6011111111111117", Some("Discover")),
            ("3530111333300000", Some("JCB")),
            ("30569309025904", Some("Diners Club")),
            ("9111111111111111", None),
            ("41111111111111110", None),
            ("1 4111111111111111", Some("Visa")),
            ("12344111111111111111", None),
            ("x4111111111111111", None),
            ("4111111111111111x", None),
            ("4111111111111111-2", None),
            ("4111 1111-1111 1111", None),
            ("0000000000000000", None),
            ("4111111111111111 and on", Some("Visa")),
            ("", None),
        ] {
            let mut got = None;
            cards(text, &mut |_, issuer, last| got = Some((issuer, last.len())));
            assert_eq!(got, issuer.map(|issuer| (issuer, 4)), "{text}");
        }
    }

    #[test]
    fn ibans_need_the_countrys_length_and_check_digits() {
        for (text, country) in [
            ("GB82 WEST 1234 5698 7654 32", Some("GB")),
            ("GB82WEST12345698765432", Some("GB")),
            ("gb82west12345698765432", Some("GB")),
            ("IBAN: DE89370400440532013000, thanks", Some("DE")),
            ("DE89 3704 0044 0532 0130 00", Some("DE")),
            ("DE88370400440532013000", None),
            ("NO9386011117947", Some("NO")),
            ("XDE89370400440532013000", None),
            ("DE893704004405320130001", None),
            ("XX89370400440532013000", None),
            ("DE8937040044", None),
        ] {
            let mut got = None;
            ibans(text, &mut |_, country, _| got = Some(country));
            assert_eq!(got, country, "{text}");
        }
    }
}
