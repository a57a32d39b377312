//! What a device asks a DHCP server for, and how it calls its own DHCP client.

use model::Platform;

use super::Family;

/// The systems whose client asks for these options (55), in this order, or bears this vendor class (60).
pub fn of_dhcp(parameters: Option<&[u8]>, vendor_class: Option<&str>) -> Option<Family> {
    vendor_class.and_then(of_vendor).or_else(|| parameters.and_then(of_parameters))
}

fn of_vendor(class: &str) -> Option<Family> {
    const CLASSES: &[(&str, Platform)] =
        &[("MSFT ", Platform::Windows), ("android-dhcp-", Platform::Android), ("BlackBerry", Platform::Phone)];
    if let Some(&(_, platform)) = CLASSES.iter().find(|(start, _)| class.starts_with(start)) {
        return Some(platform.into());
    }
    // dhcpcd names the kernel behind its version, but not where Android 4 used it.
    (class.starts_with("dhcpcd-") && class.contains(":Linux-")).then_some(Family::LINUX)
}

fn of_parameters(list: &[u8]) -> Option<Family> {
    let asks = |all: &[u8]| all.iter().all(|code| list.contains(code));
    let begins = |start: &[u8]| list.starts_with(start);
    // 249 is Microsoft's number for static routes; NetBIOS (44, 46, 47) and vendor data (43) come with it.
    if asks(&[43, 44, 46, 47, 249]) {
        return Some(Family::WINDOWS);
    }
    // Apple: proxy discovery (252) and search list (119); NetBIOS and LDAP (95) on a Mac only.
    if (begins(&[1, 121, 3, 6, 15]) || begins(&[1, 3, 6, 15, 119])) && asks(&[119, 252]) {
        let desktop = asks(&[95, 44, 46]);
        let phone = ![95, 44, 46].iter().any(|code| list.contains(code));
        return match (desktop, phone) {
            (true, _) => Some(Platform::Macos.into()),
            (_, true) => Some(Platform::Ios.into()),
            _ => Some(Family::APPLE),
        };
    }
    // Android asks for lease times and nothing about names of hosts; dhcpcd elsewhere also for 12, 54 or 119.
    if asks(&[1, 3, 6, 28, 51, 58, 59]) && ![12, 54, 119].iter().any(|code| list.contains(code)) {
        return Some(Platform::Android.into());
    }
    // ISC's client and NetworkManager: time offset, host name and broadcast address together.
    asks(&[2, 12, 28]).then_some(Platform::Linux.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_options_tell_the_client() {
        for (list, platform) in [
            (&[1, 15, 3, 6, 44, 46, 47, 31, 33, 121, 249, 43][..], Some(Platform::Windows)),
            (&[1, 3, 6, 15, 31, 33, 43, 44, 46, 47, 119, 121, 249, 252], Some(Platform::Windows)),
            (&[1, 121, 3, 6, 15, 114, 119, 252, 95, 44, 46], Some(Platform::Macos)),
            (&[1, 121, 3, 6, 15, 119, 252], Some(Platform::Ios)),
            (&[1, 121, 3, 6, 15, 108, 114, 119, 252], Some(Platform::Ios)),
            (&[1, 3, 6, 15, 119, 252], Some(Platform::Ios)),
            (&[1, 3, 6, 15, 26, 28, 51, 58, 59, 43], Some(Platform::Android)),
            (&[1, 33, 3, 6, 15, 28, 51, 58, 59], Some(Platform::Android)),
            (&[1, 28, 2, 3, 15, 6, 119, 12, 44, 47, 26, 121, 42], Some(Platform::Linux)),
            (&[1, 121, 33, 3, 6, 12, 15, 26, 28, 51, 54, 58, 59, 119], None),
            (&[1, 3, 6], None),
            (&[], None),
        ] {
            assert_eq!(of_dhcp(Some(list), None).and_then(Family::one), platform, "{list:?}");
        }
        assert_eq!(of_dhcp(None, Some("MSFT 5.0")), Some(Family::WINDOWS));
        assert_eq!(of_dhcp(Some(&[1]), Some("android-dhcp-13")), Some(Platform::Android.into()));
        assert_eq!(of_dhcp(None, Some("dhcpcd-9.4.1:Linux-6.1.0:x86_64:GenuineIntel")), Some(Family::LINUX));
        assert_eq!(of_dhcp(None, Some("udhcp 1.36")), None);
    }
}
