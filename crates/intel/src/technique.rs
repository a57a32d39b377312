//! Names of the MITRE ATT&CK techniques that attacks over chat and between peers use, for reports.

/// `(id, name)`, in the order of the ids.
const NAMES: &[(&str, &str)] = &[
    ("T1008", "Fallback Channels"),
    ("T1014", "Rootkit"),
    ("T1020", "Automated Exfiltration"),
    ("T1027", "Obfuscated Files or Information"),
    ("T1036", "Masquerading"),
    ("T1036.002", "Right-to-Left Override"),
    ("T1036.005", "Match Legitimate Name"),
    ("T1036.007", "Double File Extension"),
    ("T1036.008", "Masquerade File Type"),
    ("T1041", "Exfiltration Over C2 Channel"),
    ("T1046", "Network Service Discovery"),
    ("T1048", "Exfiltration Over Other Protocol"),
    ("T1056.001", "Keylogging"),
    ("T1056.002", "GUI Input Capture"),
    ("T1059", "Scripting Interpreter"),
    ("T1059.001", "PowerShell"),
    ("T1059.005", "Visual Basic"),
    ("T1059.007", "JavaScript"),
    ("T1059.010", "AutoHotKey and AutoIT"),
    ("T1071", "Application Layer Protocol"),
    ("T1071.001", "Web Protocols"),
    ("T1071.003", "Mail Protocols"),
    ("T1071.005", "Publish/Subscribe Protocols"),
    ("T1080", "Taint Shared Content"),
    ("T1090", "Proxy"),
    ("T1091", "Removable Media"),
    ("T1098.005", "Device Registration"),
    ("T1102", "Web Service"),
    ("T1102.002", "Bidirectional Communication"),
    ("T1104", "Multi-Stage Channels"),
    ("T1105", "Ingress Tool Transfer"),
    ("T1110.001", "Password Guessing"),
    ("T1176", "Browser Extensions"),
    ("T1185", "Browser Session Hijacking"),
    ("T1189", "Drive-by Compromise"),
    ("T1190", "Exploit Public-Facing App"),
    ("T1195", "Supply Chain Compromise"),
    ("T1199", "Trusted Relationship"),
    ("T1203", "Exploitation for Execution"),
    ("T1204", "User Execution"),
    ("T1204.001", "Malicious Link"),
    ("T1204.002", "Malicious File"),
    ("T1210", "Exploitation of Remote Services"),
    ("T1213", "Data from Repositories"),
    ("T1219", "Remote Access Tools"),
    ("T1409", "Stored Application Data"),
    ("T1429", "Audio Capture"),
    ("T1486", "Data Encrypted for Impact"),
    ("T1496.001", "Compute Hijacking"),
    ("T1498", "Network Denial of Service"),
    ("T1499", "Endpoint Denial of Service"),
    ("T1517", "Access Notifications"),
    ("T1534", "Internal Spearphishing"),
    ("T1539", "Steal Web Session Cookie"),
    ("T1546", "Event Triggered Execution"),
    ("T1547", "Autostart Execution"),
    ("T1552", "Unsecured Credentials"),
    ("T1552.001", "Credentials In Files"),
    ("T1554", "Compromise Host Software"),
    ("T1555", "Credentials from Stores"),
    ("T1555.003", "Credentials from Browsers"),
    ("T1557", "Adversary-in-the-Middle"),
    ("T1562.001", "Disable or Modify Tools"),
    ("T1562.004", "Disable System Firewall"),
    ("T1565.001", "Stored Data Manipulation"),
    ("T1565.002", "Transmitted Data Manipulation"),
    ("T1566", "Phishing"),
    ("T1566.001", "Spearphishing Attachment"),
    ("T1566.002", "Spearphishing Link"),
    ("T1566.003", "Spearphishing via Service"),
    ("T1567", "Exfiltration Over Web Service"),
    ("T1583.006", "Acquire Web Services"),
    ("T1585", "Establish Accounts"),
    ("T1588.004", "Obtain Certificates"),
    ("T1598", "Phishing for Information"),
    ("T1608", "Stage Capabilities"),
    ("T1614.001", "System Language Discovery"),
    ("T1621", "MFA Request Generation"),
    ("T1636.003", "Contact List"),
    ("T1643", "Generate Traffic from Victim"),
    ("T1655", "Masquerading (Mobile)"),
    ("T1655.001", "Match Legitimate Name (Mobile)"),
    ("T1656", "Impersonation"),
    ("T1658", "Client Execution (Mobile)"),
    ("T1660", "Phishing (Mobile)"),
    ("T1664", "Initial Access (Mobile)"),
    ("T1667", "Email Bombing"),
];

/// The name of a technique; shortened where it is long.
pub fn name(id: &str) -> Option<&'static str> {
    let at = NAMES.binary_search_by(|(known, _)| (*known).cmp(id)).ok()?;
    NAMES.get(at).map(|(_, name)| *name)
}

/// Whether this has the form of a MITRE ATT&CK technique id: `T1566` or `T1566.002`.
pub fn is_id(id: &str) -> bool {
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    let Some(rest) = id.strip_prefix('T') else { return false };
    match rest.split_once('.') {
        None => digits(rest, 4),
        Some((technique, sub)) => digits(technique, 4) && digits(sub, 3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Catalogue;

    #[test]
    fn ids_are_recognised() {
        for (id, good) in [("T1566", true), ("T1566.002", true), ("T156", false), ("1566", false), ("T1566.2", false)] {
            assert_eq!(is_id(id), good, "{id}");
        }
    }

    #[test]
    fn every_technique_of_the_catalogue_is_one() {
        assert!(NAMES.is_sorted(), "in the order of the ids");
        for threat in Catalogue::bundled().threats() {
            for id in &threat.techniques {
                assert!(name(id).is_some(), "{}: {id} is not in the table", threat.id);
            }
        }
    }
}
