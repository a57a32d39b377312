//! Names that only one kind of system asks for: connectivity checks, clocks, updates.

use std::sync::LazyLock;

use model::Platform;

use super::Family;
use crate::apps::Hosts;

const ANDROID: Family = Family::of(&[Platform::Android]);
const LINUX: Family = Family::of(&[Platform::Linux]);
const MACOS: Family = Family::of(&[Platform::Macos]);
const IOS: Family = Family::of(&[Platform::Ios]);
const PHONE: Family = Family::of(&[Platform::Phone]);

/// Hosts and everything below them. Names that browsers ask for on every system (`android.clients.google.com`,
/// `mtalk.google.com`) do not belong here.
const HABITS: &[(&str, Family)] = &[
    ("msftconnecttest.com", Family::WINDOWS),
    ("msftncsi.com", Family::WINDOWS),
    ("time.windows.com", Family::WINDOWS),
    ("ctldl.windowsupdate.com", Family::WINDOWS),
    ("settings-win.data.microsoft.com", Family::WINDOWS),
    ("do.dsp.mp.microsoft.com", Family::WINDOWS),
    ("update.microsoft.com", Family::WINDOWS),
    ("teredo.ipv6.microsoft.com", Family::WINDOWS),
    ("win*.ipv6.microsoft.com", Family::WINDOWS),
    ("captive.apple.com", Family::APPLE),
    ("push.apple.com", Family::APPLE),
    ("mesu.apple.com", Family::APPLE),
    ("gdmf.apple.com", Family::APPLE),
    ("time.apple.com", Family::APPLE),
    ("ess.apple.com", Family::APPLE),
    ("time-macos.apple.com", MACOS),
    ("swscan.apple.com", MACOS),
    ("swdist.apple.com", MACOS),
    ("osxapps.itunes.apple.com", MACOS),
    ("time-ios.apple.com", IOS),
    ("iphone-ld.apple.com", IOS),
    ("connectivitycheck.gstatic.com", ANDROID),
    ("connectivitycheck.android.com", ANDROID),
    ("connectivitycheck.platform.hicloud.com", ANDROID),
    ("connectivitycheck.grapheneos.network", ANDROID),
    ("connect.rom.miui.com", ANDROID),
    ("conn1.oppomobile.com", ANDROID),
    ("wifi.vivo.com.cn", ANDROID),
    ("time.android.com", ANDROID),
    ("android.pool.ntp.org", ANDROID),
    ("connectivity-check.ubuntu.com", LINUX),
    ("ntp.ubuntu.com", LINUX),
    ("motd.ubuntu.com", LINUX),
    ("daisy.ubuntu.com", LINUX),
    ("ubuntu.pool.ntp.org", LINUX),
    ("debian.pool.ntp.org", LINUX),
    ("fedora.pool.ntp.org", LINUX),
    ("centos.pool.ntp.org", LINUX),
    ("arch.pool.ntp.org", LINUX),
    ("network-test.debian.org", LINUX),
    ("nmcheck.gnome.org", LINUX),
    ("conncheck.opensuse.org", LINUX),
    ("ping.archlinux.org", LINUX),
    ("kaiostech.com", PHONE),
    ("rcp.*.blackberry.com", PHONE),
];

/// The systems that ask for this name: lower case, no final dot.
pub fn of_host(name: &str) -> Option<Family> {
    static INDEX: LazyLock<Hosts<Family>> = LazyLock::new(|| {
        let mut index = Hosts::default();
        for &(host, family) in HABITS {
            let entered = index.insert(host, family);
            debug_assert_eq!(entered, Ok(None), "{host}");
        }
        index
    });
    INDEX.owner(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_one_system_asks_for() {
        for (name, family) in [
            ("www.msftconnecttest.com", Some(Family::WINDOWS)),
            ("captive.apple.com", Some(Family::APPLE)),
            ("1-courier.push.apple.com", Some(Family::APPLE)),
            ("time-ios.apple.com", Some(IOS)),
            ("connectivitycheck.gstatic.com", Some(ANDROID)),
            ("2.debian.pool.ntp.org", Some(LINUX)),
            ("android.clients.google.com", None),
            ("pool.ntp.org", None),
            ("www.apple.com", None),
        ] {
            assert_eq!(of_host(name), family, "{name}");
        }
    }
}
