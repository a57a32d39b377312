//! Hosts on which many people post under one name: a list that names one of them as a
//! host is wrong about everybody else there, so only URLs deep enough to name one
//! poster's page are taken.
//!
//! Platforms that give each user a name of his own (`*.blogspot.com`, `*.github.io`) are
//! in the public suffix list's private section and need no entry here.

/// Host, and how many path segments a URL there needs to name one poster's page.
const SHARED: &[(&str, u8)] = &[
    // Source code and pastes
    ("bitbucket.org", 1),
    ("codeberg.org", 1),
    ("gist.github.com", 1),
    ("gist.githubusercontent.com", 1),
    ("github.com", 1),
    ("gitlab.com", 1),
    ("objects.githubusercontent.com", 1),
    ("raw.githubusercontent.com", 1),
    ("sourceforge.net", 2),
    ("sr.ht", 1),
    ("hastebin.com", 1),
    ("dpaste.com", 1),
    ("dpaste.org", 1),
    ("ghostbin.com", 1),
    ("paste.ee", 1),
    ("paste.ubuntu.com", 1),
    ("paste.debian.net", 1),
    ("pastebin.com", 1),
    ("rentry.co", 1),
    ("rentry.org", 1),
    ("telegra.ph", 1),
    ("npmjs.com", 1),
    ("pypi.org", 1),
    ("hub.docker.com", 1),
    ("huggingface.co", 1),
    // Documents and forms
    ("docs.google.com", 3),
    ("forms.gle", 1),
    ("forms.office.com", 1),
    ("sites.google.com", 2),
    ("script.google.com", 3),
    ("canva.com", 2),
    ("figma.com", 2),
    ("jotform.com", 1),
    ("notion.so", 1),
    ("surveymonkey.com", 1),
    ("trello.com", 2),
    ("typeform.com", 1),
    ("airtable.com", 1),
    ("evernote.com", 2),
    ("scribd.com", 2),
    ("slideshare.net", 1),
    ("issuu.com", 1),
    ("wikipedia.org", 1),
    ("archive.org", 2),
    // Files
    ("1drv.ms", 1),
    ("anonfiles.com", 1),
    ("app.box.com", 2),
    ("catbox.moe", 1),
    ("cdn.discordapp.com", 2),
    ("dl.dropboxusercontent.com", 1),
    ("drive.google.com", 2),
    ("dropbox.com", 2),
    ("drive.usercontent.google.com", 1),
    ("file.io", 1),
    ("filebin.net", 1),
    ("gofile.io", 1),
    ("icloud.com", 1),
    ("litter.catbox.moe", 1),
    ("mediafire.com", 2),
    ("media.discordapp.net", 2),
    ("mega.nz", 1),
    ("onedrive.live.com", 1),
    ("send.now", 1),
    ("sendspace.com", 1),
    ("transfer.sh", 1),
    ("we.tl", 1),
    ("wetransfer.com", 1),
    ("workupload.com", 1),
    ("imgur.com", 1),
    ("i.imgur.com", 1),
    ("postimg.cc", 1),
    ("ibb.co", 1),
    // Cloud storage with the bucket in the path
    ("s3.amazonaws.com", 1),
    ("storage.googleapis.com", 1),
    ("firebasestorage.googleapis.com", 3),
    ("storage.yandexcloud.net", 1),
    ("disk.yandex.ru", 2),
    ("cloud.mail.ru", 2),
    ("ipfs.io", 2),
    ("cloudflare-ipfs.com", 2),
    // People talking
    ("discord.com", 2),
    ("discord.gg", 1),
    ("facebook.com", 1),
    ("fb.me", 1),
    ("instagram.com", 1),
    ("linkedin.com", 2),
    ("lnkd.in", 1),
    ("medium.com", 1),
    ("ok.ru", 1),
    ("pinterest.com", 1),
    ("quora.com", 1),
    ("reddit.com", 2),
    ("redd.it", 1),
    ("signal.group", 1),
    ("slack.com", 1),
    ("soundcloud.com", 1),
    ("spotify.com", 1),
    ("stackoverflow.com", 1),
    ("steamcommunity.com", 2),
    ("substack.com", 1),
    ("t.me", 1),
    ("telegram.me", 1),
    ("telegram.org", 1),
    ("tiktok.com", 1),
    ("tumblr.com", 1),
    ("twitch.tv", 1),
    ("twitter.com", 1),
    ("viber.com", 1),
    ("vimeo.com", 1),
    ("vk.com", 1),
    ("wa.me", 1),
    ("chat.whatsapp.com", 1),
    ("whatsapp.com", 1),
    ("x.com", 1),
    ("youtu.be", 1),
    ("youtube.com", 1),
    ("teams.microsoft.com", 1),
    ("meet.google.com", 1),
    ("zoom.us", 1),
    // Shortening and redirecting: the path names the target
    ("bit.ly", 1),
    ("buff.ly", 1),
    ("cutt.ly", 1),
    ("goo.gl", 1),
    ("is.gd", 1),
    ("linktr.ee", 1),
    ("ow.ly", 1),
    ("rb.gy", 1),
    ("rebrand.ly", 1),
    ("s.id", 1),
    ("shorturl.at", 1),
    ("t.co", 1),
    ("t.ly", 1),
    ("tiny.cc", 1),
    ("tinyurl.com", 1),
    ("v.gd", 1),
    // Search, translation, caches and big portals
    ("amazon.com", 1),
    ("apple.com", 1),
    ("bing.com", 1),
    ("cloudflare.com", 1),
    ("ebay.com", 1),
    ("google.com", 2),
    ("live.com", 1),
    ("microsoft.com", 1),
    ("office.com", 1),
    ("paypal.com", 1),
    ("sharepoint.com", 1),
    ("translate.google.com", 1),
    ("web.archive.org", 3),
    ("webcache.googleusercontent.com", 1),
    ("yahoo.com", 1),
    ("yandex.ru", 1),
];

/// Path segments needed at a host, when it is shared. `host` is in canonical form; `www.` does not count.
pub(crate) fn depth(host: &str) -> Option<u8> {
    let host = host.strip_prefix("www.").unwrap_or(host);
    SHARED.iter().find(|(shared, _)| *shared == host).map(|(_, depth)| *depth)
}

/// Whether an entry for `host` and everything below it would cover a shared host.
pub(crate) fn covers_any(host: &str) -> bool {
    let host = host.strip_prefix("www.").unwrap_or(host);
    let covers = |shared: &str| shared.strip_suffix(host).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    SHARED.iter().any(|(shared, _)| covers(shared))
}

/// Whether many people post under this host name, so that the name alone says nothing
/// about a link. `host` is in ASCII and lower case.
pub fn is_shared_host(host: &str) -> bool {
    depth(host).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_covers_what_is_below_it() {
        for (host, covers) in [
            ("github.com", true),
            ("www.github.com", true),
            ("discordapp.com", true),
            ("evilgithub.com", false),
            ("evil.github.com", false),
        ] {
            assert_eq!(covers_any(host), covers, "{host}");
        }
    }

    #[test]
    fn every_entry_is_in_canonical_form_and_stands_once() {
        for (i, (host, depth)) in SHARED.iter().enumerate() {
            let url = url::Url::parse(&format!("http://{host}/")).unwrap();
            assert_eq!(url.host_str(), Some(*host));
            assert!(*depth > 0);
            assert!(!host.starts_with("www."));
            assert!(SHARED[i + 1..].iter().all(|(other, _)| other != host), "{host}");
        }
    }
}
