//! What devices say of themselves in user agents and names.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use model::Platform;

use super::Family;

const SYMBIAN: Family = Family::of(&[Platform::Symbian]);
const PHONE: Family = Family::of(&[Platform::Phone]);
const ANDROID: Family = Family::of(&[Platform::Android]);
const IOS: Family = Family::of(&[Platform::Ios]);
const MACOS: Family = Family::of(&[Platform::Macos]);
const LINUX: Family = Family::of(&[Platform::Linux]);

/// Words of HTTP and SIP user agents, in the order in which they decide: browsers of phones also name the
/// systems that they want to be taken for.
const AGENTS: &[(&str, Family)] = &[
    ("Symbian", SYMBIAN),
    ("SymbOS", SYMBIAN),
    ("Series60", SYMBIAN),
    ("S60Version", SYMBIAN),
    ("Windows Phone", PHONE),
    ("WindowsPhone", PHONE),
    ("IEMobile", PHONE),
    ("Windows CE", PHONE),
    ("BlackBerry", PHONE),
    ("BB10", PHONE),
    ("KAIOS", PHONE),
    ("KaiOS", PHONE),
    ("Tizen", PHONE),
    ("Series40", PHONE),
    ("S40Version", PHONE),
    ("MeeGo", PHONE),
    ("Maemo", PHONE),
    ("Bada/", PHONE),
    ("webOS/", PHONE),
    ("hpwOS/", PHONE),
    ("J2ME", PHONE),
    ("MIDP", PHONE),
    ("Android", ANDROID),
    ("Dalvik/", ANDROID),
    ("CSipSimple", ANDROID),
    ("iPhone", IOS),
    ("iPad", IOS),
    ("iPod", IOS),
    ("iOS", IOS),
    ("Macintosh", MACOS),
    ("Mac OS X", MACOS),
    ("macOS", MACOS),
    ("MacBook", MACOS),
    ("iMac", MACOS),
    ("Windows", Family::WINDOWS),
    ("Win64", Family::WINDOWS),
    ("Win32", Family::WINDOWS),
    ("Microsoft-CryptoAPI/", Family::WINDOWS),
    ("Microsoft NCSI", Family::WINDOWS),
    ("Microsoft BITS/", Family::WINDOWS),
    ("MSMSGS", Family::WINDOWS),
    ("MicroSIP/", Family::WINDOWS),
    ("PhonerLite", Family::WINDOWS),
    ("CFNetwork/", Family::APPLE),
    ("Darwin/", Family::APPLE),
    ("CaptiveNetworkSupport", Family::APPLE),
    ("Ubuntu", LINUX),
    ("Debian", LINUX),
    ("Fedora", LINUX),
    ("X11;", LINUX),
    ("CrOS", LINUX),
    ("Linux", LINUX),
    ("FreeBSD", LINUX),
    ("OpenBSD", LINUX),
];

/// Beginnings of names that systems give to devices: host names in DHCP and mDNS, lower case.
const DEVICE_NAMES: &[(&str, Family)] = &[
    ("desktop-", Family::WINDOWS),
    ("laptop-", Family::WINDOWS),
    ("win-", Family::WINDOWS),
    ("android-", ANDROID),
    ("android.", ANDROID),
    ("galaxy-", ANDROID),
    ("pixel-", ANDROID),
    ("blackberry-", PHONE),
    ("windows-phone", PHONE),
];

/// Parts of names that people's devices are given after their model, lower case.
const MODELS: &[(&str, Family)] =
    &[("iphone", IOS), ("ipad", IOS), ("macbook", MACOS), ("imac", MACOS), ("mac-mini", MACOS), ("mac-pro", MACOS)];

/// The systems that a user agent of HTTP or SIP names.
pub fn of_user_agent(agent: &str) -> Option<Family> {
    static WORDS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
        let words = AGENTS.iter().map(|(word, _)| word);
        AhoCorasick::builder().match_kind(MatchKind::Standard).build(words).ok()
    });
    let first = WORDS.as_ref()?.find_overlapping_iter(agent).map(|found| found.pattern().as_usize()).min()?;
    AGENTS.get(first).map(|&(_, family)| family)
}

/// The systems that a device's own name suggests, as it stands in DHCP or mDNS.
pub fn of_device_name(name: &str) -> Option<Family> {
    let begins = |start: &str| name.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start));
    if let Some(&(_, family)) = DEVICE_NAMES.iter().find(|(start, _)| begins(start)) {
        return Some(family);
    }
    let holds = |part: &str| name.as_bytes().windows(part.len()).any(|w| w.eq_ignore_ascii_case(part.as_bytes()));
    MODELS.iter().find(|(part, _)| holds(part)).map(|&(_, family)| family)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_agents_are_taken_for_the_system_they_run_on() {
        for (agent, platform) in [
            ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)", Platform::Windows),
            ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15", Platform::Macos),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X)", Platform::Ios),
            ("Mozilla/5.0 (Linux; Android 14; Pixel 8)", Platform::Android),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0", Platform::Linux),
            ("Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1; Microsoft; Lumia 950)", Platform::Phone),
            ("Mozilla/5.0 (Mobile; Nokia_8110_4G; rv:48.0) Gecko/48.0 KAIOS/2.5", Platform::Phone),
            ("Mozilla/5.0 (SymbianOS/9.4; Series60/5.0 NokiaN97-1/12.0; Profile/MIDP-2.1)", Platform::Symbian),
            ("Opera/9.80 (J2ME/MIDP; Opera Mini/9 (Compatible; MSIE:9.0; iPhone; BlackBerry9700)", Platform::Phone),
            ("WhatsApp/2.19.20 iPhone_OS/12.1 Device/iPhone_8", Platform::Ios),
            ("WhatsApp/2.12.556 Android/5.1 Device/LGE-Nexus_5", Platform::Android),
            ("LinphoneAndroid/4.2.3 (Galaxy)", Platform::Android),
            ("LinphoneiOS/4.3.0", Platform::Ios),
            ("MicroSIP/3.20.7", Platform::Windows),
            ("Microsoft-CryptoAPI/10.0", Platform::Windows),
            ("Debian APT-HTTP/1.3 (2.6.1)", Platform::Linux),
            ("server-bag [Mac OS X,10.15.7,19H2,MacBookPro11,3]", Platform::Macos),
        ] {
            assert_eq!(of_user_agent(agent).and_then(Family::one), Some(platform), "{agent}");
        }
        assert_eq!(of_user_agent("Talk/1 CFNetwork/978.0.7 Darwin/18.5.0"), Some(Family::APPLE));
        for agent in ["curl/8.0", "", "Go-http-client/1.1", "Asterisk PBX 18", "snomD785/10.1"] {
            assert_eq!(of_user_agent(agent), None, "{agent}");
        }
    }

    #[test]
    fn device_names_tell_what_makers_put_into_them() {
        for (name, platform) in [
            ("DESKTOP-4F2K9QX", Some(Platform::Windows)),
            ("android-1a2b3c4d5e6f7890", Some(Platform::Android)),
            ("Annas-iPhone", Some(Platform::Ios)),
            ("Lucas-iMac.local", Some(Platform::Macos)),
            ("MacBook-Pro-von-Eva", Some(Platform::Macos)),
            ("printer", None),
            ("", None),
        ] {
            assert_eq!(of_device_name(name).and_then(Family::one), platform, "{name}");
        }
    }
}
