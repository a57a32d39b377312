//! Kinds of file: one table of names, groups, extensions and media types, one
//! table of signatures, and the reading of text that tells a script from a note.

use memchr::memmem;

/// What a kind is good for; what rules and mismatches are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// Runs when opened: machine code, installers, byte code, packages.
    Program,
    /// Text that an interpreter runs when opened.
    Script,
    /// Points elsewhere and is followed when opened, or even when its folder is shown.
    Shortcut,
    /// Files packed together or made smaller.
    Archive,
    /// A file system or notebook with files inside that carry no mark of the web.
    Container,
    /// Office documents, PDF and their like.
    Document,
    /// Markup that a browser runs: HTML, SVG, XML.
    Markup,
    /// Pictures.
    Image,
    /// Sound.
    Audio,
    /// Moving pictures.
    Video,
    /// Plain text.
    Text,
    /// Known, and none of the above.
    Data,
    /// Not recognised.
    Unknown,
}

/// One kind of file.
#[derive(Debug)]
pub struct Kind {
    /// Short lower-case name, as in records and policy.
    pub name: &'static str,
    /// What it is good for.
    pub group: Group,
    /// Extensions it goes by, lower case.
    pub extensions: &'static [&'static str],
    /// Media types it is claimed as.
    pub types: &'static [&'static str],
}

const fn kind(
    name: &'static str,
    group: Group,
    extensions: &'static [&'static str],
    types: &'static [&'static str],
) -> Kind {
    Kind { name, group, extensions, types }
}

/// Every kind, once.
pub static KINDS: &[Kind] = &[
    // programs
    kind(
        "pe",
        Group::Program,
        &["exe", "dll", "scr", "com", "pif", "cpl", "sys", "ocx", "drv", "efi", "ax", "mui", "xll"],
        &["application/x-msdownload", "application/vnd.microsoft.portable-executable", "application/x-dosexec"],
    ),
    kind(
        "elf",
        Group::Program,
        &["elf", "so", "ko", "appimage", "axf"],
        &["application/x-executable", "application/x-elf", "application/x-sharedlib", "application/x-pie-executable"],
    ),
    kind("macho", Group::Program, &["dylib", "macho"], &["application/x-mach-binary"]),
    kind("dex", Group::Program, &["dex", "odex"], &[]),
    kind("class", Group::Program, &["class"], &["application/java-vm"]),
    kind("jar", Group::Program, &["jar", "war", "ear"], &["application/java-archive", "application/x-java-archive"]),
    kind("apk", Group::Program, &["apk", "aab", "xapk"], &["application/vnd.android.package-archive"]),
    kind("msi", Group::Program, &["msi", "msp", "mst"], &["application/x-msi"]),
    kind("appx", Group::Program, &["appx", "msix", "appxbundle", "msixbundle", "appinstaller"], &[]),
    kind("chm", Group::Program, &["chm"], &["application/vnd.ms-htmlhelp"]),
    kind("deb", Group::Program, &["deb"], &["application/vnd.debian.binary-package"]),
    kind("rpm", Group::Program, &["rpm"], &["application/x-rpm"]),
    kind("crx", Group::Program, &["crx", "xpi"], &["application/x-chrome-extension", "application/x-xpinstall"]),
    kind("flash", Group::Program, &["swf"], &["application/x-shockwave-flash"]),
    kind("xar", Group::Program, &["xar", "pkg", "mpkg"], &["application/x-xar"]),
    // scripts
    kind("batch", Group::Script, &["bat", "cmd"], &["application/x-bat"]),
    kind(
        "powershell",
        Group::Script,
        &["ps1", "psm1", "psd1", "ps1xml", "psc1", "ps2", "cdxml"],
        &["application/x-powershell"],
    ),
    kind("vbscript", Group::Script, &["vbs", "vbe", "vb", "bas"], &["text/vbscript"]),
    kind(
        "javascript",
        Group::Script,
        &["js", "jse", "mjs", "cjs"],
        &["text/javascript", "application/javascript", "application/x-javascript"],
    ),
    kind("wsf", Group::Script, &["wsf", "wsh", "ws", "wsc", "sct"], &["text/scriptlet"]),
    kind("hta", Group::Script, &["hta"], &["application/hta"]),
    kind(
        "shell",
        Group::Script,
        &["sh", "bash", "zsh", "ksh", "csh", "command", "run"],
        &["application/x-sh", "text/x-shellscript"],
    ),
    kind("python", Group::Script, &["py", "pyw", "pyz", "pyc"], &["text/x-python", "application/x-python-code"]),
    kind("perl", Group::Script, &["pl"], &["text/x-perl"]),
    kind("ruby", Group::Script, &["rb"], &["text/x-ruby"]),
    kind("php", Group::Script, &["php", "phtml", "phar"], &["application/x-php", "application/x-httpd-php"]),
    kind("applescript", Group::Script, &["scpt", "applescript", "scptd", "workflow"], &[]),
    kind("registry", Group::Script, &["reg"], &[]),
    kind("setup", Group::Script, &["inf", "ins", "isp"], &[]),
    kind("autoit", Group::Script, &["au3", "ahk", "a3x"], &[]),
    kind("console", Group::Script, &["msc"], &[]),
    // shortcuts
    kind("lnk", Group::Shortcut, &["lnk"], &["application/x-ms-shortcut"]),
    kind("url", Group::Shortcut, &["url", "website", "webloc"], &["application/internet-shortcut"]),
    kind("scf", Group::Shortcut, &["scf"], &[]),
    kind("library", Group::Shortcut, &["library-ms"], &["application/windows-library+xml"]),
    kind(
        "search",
        Group::Shortcut,
        &["search-ms", "searchconnector-ms"],
        &["application/windows-search-connector+xml"],
    ),
    kind("settings", Group::Shortcut, &["settingcontent-ms", "appcontent-ms"], &[]),
    kind("clickonce", Group::Shortcut, &["application", "appref-ms"], &["application/x-ms-application"]),
    kind("desktop", Group::Shortcut, &["desktop"], &["application/x-desktop"]),
    kind("theme", Group::Shortcut, &["theme", "themepack", "deskthemepack"], &[]),
    kind("folder", Group::Shortcut, &[], &[]),
    kind("rdp", Group::Shortcut, &["rdp"], &["application/x-rdp"]),
    // archives
    kind("zip", Group::Archive, &["zip", "zipx"], &["application/zip", "application/x-zip-compressed"]),
    kind("tar", Group::Archive, &["tar"], &["application/x-tar"]),
    kind("gzip", Group::Archive, &["gz", "tgz"], &["application/gzip", "application/x-gzip"]),
    kind("bzip2", Group::Archive, &["bz2", "tbz", "tbz2"], &["application/x-bzip2"]),
    kind("xz", Group::Archive, &["xz", "txz", "lzma"], &["application/x-xz"]),
    kind("zstd", Group::Archive, &["zst", "tzst"], &["application/zstd"]),
    kind("lz4", Group::Archive, &["lz4"], &[]),
    kind("compress", Group::Archive, &["z", "taz"], &["application/x-compress"]),
    kind("7z", Group::Archive, &["7z"], &["application/x-7z-compressed"]),
    kind("rar", Group::Archive, &["rar", "r00"], &["application/vnd.rar", "application/x-rar-compressed"]),
    kind("cab", Group::Archive, &["cab"], &["application/vnd.ms-cab-compressed"]),
    kind("arj", Group::Archive, &["arj"], &["application/x-arj"]),
    kind("lzh", Group::Archive, &["lzh", "lha"], &["application/x-lzh-compressed"]),
    kind("ace", Group::Archive, &["ace"], &["application/x-ace-compressed"]),
    kind("cpio", Group::Archive, &["cpio"], &["application/x-cpio"]),
    // containers
    kind("iso", Group::Container, &["iso", "udf"], &["application/x-iso9660-image", "application/x-cd-image"]),
    kind(
        "disk",
        Group::Container,
        &["img", "vhd", "vhdx", "vmdk", "vdi", "qcow2", "wim"],
        &["application/x-raw-disk-image"],
    ),
    kind("dmg", Group::Container, &["dmg"], &["application/x-apple-diskimage"]),
    kind("onenote", Group::Container, &["one", "onepkg", "onetoc2"], &["application/onenote", "application/msonenote"]),
    // documents
    kind("pdf", Group::Document, &["pdf"], &["application/pdf"]),
    kind(
        "ole2",
        Group::Document,
        &["doc", "dot", "xls", "xlt", "xla", "ppt", "pot", "pps", "ppa", "msg", "pub", "vsd", "mpp"],
        &[
            "application/msword",
            "application/vnd.ms-excel",
            "application/vnd.ms-powerpoint",
            "application/vnd.ms-outlook",
        ],
    ),
    kind(
        "docx",
        Group::Document,
        &["docx", "docm", "dotx", "dotm"],
        &["application/vnd.openxmlformats-officedocument.wordprocessingml.document"],
    ),
    kind(
        "xlsx",
        Group::Document,
        &["xlsx", "xlsm", "xlsb", "xltx", "xltm", "xlam"],
        &["application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"],
    ),
    kind(
        "pptx",
        Group::Document,
        &["pptx", "pptm", "potx", "potm", "ppsx", "ppsm", "ppam", "sldx"],
        &["application/vnd.openxmlformats-officedocument.presentationml.presentation"],
    ),
    kind("ooxml", Group::Document, &["vsdx", "xps", "oxps"], &[]),
    kind(
        "odf",
        Group::Document,
        &["odt", "ods", "odp", "odg", "ott", "ots", "otp"],
        &["application/vnd.oasis.opendocument.text", "application/vnd.oasis.opendocument.spreadsheet"],
    ),
    kind("epub", Group::Document, &["epub"], &["application/epub+zip"]),
    kind("rtf", Group::Document, &["rtf"], &["application/rtf", "text/rtf"]),
    kind("postscript", Group::Document, &["ps", "eps"], &["application/postscript"]),
    kind("djvu", Group::Document, &["djvu"], &["image/vnd.djvu"]),
    // markup
    kind("html", Group::Markup, &["html", "htm", "xhtml", "shtml", "xht"], &["text/html", "application/xhtml+xml"]),
    kind("mhtml", Group::Markup, &["mht", "mhtml"], &["multipart/related", "message/rfc822"]),
    kind("svg", Group::Markup, &["svg"], &["image/svg+xml"]),
    kind("xml", Group::Markup, &["xml", "xsl", "xslt", "rss", "xsd"], &["application/xml", "text/xml"]),
    // images
    kind("png", Group::Image, &["png", "apng"], &["image/png", "image/apng"]),
    kind("jpeg", Group::Image, &["jpg", "jpeg", "jpe", "jfif"], &["image/jpeg", "image/jpg"]),
    kind("gif", Group::Image, &["gif"], &["image/gif"]),
    kind("bmp", Group::Image, &["bmp", "dib"], &["image/bmp"]),
    kind("webp", Group::Image, &["webp"], &["image/webp"]),
    kind("tiff", Group::Image, &["tif", "tiff"], &["image/tiff"]),
    kind("ico", Group::Image, &["ico", "cur"], &["image/x-icon", "image/vnd.microsoft.icon"]),
    kind("heif", Group::Image, &["heic", "heif", "avif"], &["image/heic", "image/heif", "image/avif"]),
    kind("jxl", Group::Image, &["jxl"], &["image/jxl"]),
    kind("psd", Group::Image, &["psd"], &["image/vnd.adobe.photoshop"]),
    // audio
    kind("mp3", Group::Audio, &["mp3"], &["audio/mpeg"]),
    kind("ogg", Group::Audio, &["ogg", "oga", "opus", "spx"], &["audio/ogg", "audio/opus"]),
    kind("flac", Group::Audio, &["flac"], &["audio/flac"]),
    kind("wav", Group::Audio, &["wav"], &["audio/wav", "audio/x-wav"]),
    kind("m4a", Group::Audio, &["m4a", "m4b"], &["audio/mp4"]),
    kind("aac", Group::Audio, &["aac"], &["audio/aac"]),
    kind("amr", Group::Audio, &["amr"], &["audio/amr"]),
    kind("midi", Group::Audio, &["mid", "midi"], &["audio/midi"]),
    // video
    kind("mp4", Group::Video, &["mp4", "m4v", "mov", "3gp"], &["video/mp4", "video/quicktime", "video/3gpp"]),
    kind("matroska", Group::Video, &["mkv", "webm"], &["video/webm", "video/x-matroska", "audio/webm"]),
    kind("avi", Group::Video, &["avi"], &["video/x-msvideo"]),
    kind("flv", Group::Video, &["flv"], &["video/x-flv"]),
    kind("mpeg", Group::Video, &["mpg", "mpeg"], &["video/mpeg"]),
    kind("asf", Group::Video, &["wmv", "wma", "asf"], &["video/x-ms-wmv", "audio/x-ms-wma"]),
    kind("ogv", Group::Video, &["ogv"], &["video/ogg"]),
    // the rest
    kind(
        "text",
        Group::Text,
        &[
            "txt", "md", "csv", "tsv", "log", "json", "yaml", "yml", "toml", "ini", "conf", "cfg", "c", "h", "cpp",
            "rs", "go", "java", "ts", "css", "tex", "srt", "vtt", "diff", "patch", "eml", "ics", "vcf", "asc", "sql",
        ],
        &["text/plain", "text/csv", "text/markdown", "application/json", "text/calendar", "text/vcard"],
    ),
    kind("sqlite", Group::Data, &["sqlite", "db"], &["application/vnd.sqlite3"]),
    kind("font", Group::Data, &["ttf", "otf", "woff", "woff2"], &["font/ttf", "font/otf", "font/woff", "font/woff2"]),
    kind("pcap", Group::Data, &["pcap", "pcapng"], &["application/vnd.tcpdump.pcap"]),
    kind("wasm", Group::Data, &["wasm"], &["application/wasm"]),
    kind("empty", Group::Data, &[], &[]),
    kind("unknown", Group::Unknown, &[], &[]),
];

/// The table entry of a kind; unknown names are the unknown kind.
pub fn named(name: &str) -> &'static Kind {
    KINDS.iter().find(|k| k.name == name).unwrap_or(&KINDS[KINDS.len() - 1])
}

/// The kind that goes by an extension (lower case, without the dot).
pub fn by_extension(extension: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|k| k.extensions.contains(&extension))
}

/// The kind that goes by a media type; parameters and case are ignored. Types
/// that say nothing (`application/octet-stream`) have none.
pub fn by_type(media_type: &str) -> Option<&'static Kind> {
    let bare = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    KINDS.iter().find(|k| k.types.contains(&bare.as_str()))
}

/// A signature: the kind whose files have these bytes at this offset.
struct Signature(&'static str, usize, &'static [u8]);

/// Unambiguous signatures. Kinds whose magic is short or shared are told apart in [`by_content`].
static SIGNATURES: &[Signature] = &[
    Signature("elf", 0, b"\x7fELF"),
    Signature("macho", 0, b"\xfe\xed\xfa\xce"),
    Signature("macho", 0, b"\xfe\xed\xfa\xcf"),
    Signature("macho", 0, b"\xce\xfa\xed\xfe"),
    Signature("macho", 0, b"\xcf\xfa\xed\xfe"),
    Signature("dex", 0, b"dex\n0"),
    Signature("chm", 0, b"ITSF\x03\0\0\0"),
    Signature("deb", 0, b"!<arch>\ndebian"),
    Signature("rpm", 0, b"\xed\xab\xee\xdb"),
    Signature("crx", 0, b"Cr24"),
    Signature("xar", 0, b"xar!"),
    Signature("lnk", 0, b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F"),
    Signature("zip", 0, b"PK\x03\x04"),
    Signature("zip", 0, b"PK\x05\x06"),
    Signature("zip", 0, b"PK00PK\x03\x04"),
    Signature("zip", 0, b"PK\x07\x08PK\x03\x04"),
    Signature("gzip", 0, b"\x1f\x8b\x08"),
    Signature("bzip2", 0, b"BZh"),
    Signature("xz", 0, b"\xfd7zXZ\0"),
    Signature("zstd", 0, b"\x28\xb5\x2f\xfd"),
    Signature("lz4", 0, b"\x04\x22\x4d\x18"),
    Signature("compress", 0, b"\x1f\x9d"),
    Signature("7z", 0, b"7z\xbc\xaf\x27\x1c"),
    Signature("rar", 0, b"Rar!\x1a\x07"),
    Signature("cab", 0, b"MSCF\0\0\0\0"),
    Signature("arj", 0, b"\x60\xea"),
    Signature("ace", 7, b"**ACE**"),
    Signature("cpio", 0, b"070701"),
    Signature("cpio", 0, b"070702"),
    Signature("cpio", 0, b"070707"),
    Signature("iso", 32_769, b"CD001"),
    Signature("iso", 32_769, b"BEA01"),
    Signature("disk", 0, b"vhdxfile"),
    Signature("disk", 0, b"conectix"),
    Signature("disk", 0, b"KDMV"),
    Signature("disk", 0, b"QFI\xfb"),
    Signature("disk", 0, b"MSWIM\0\0\0"),
    Signature("onenote", 0, b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3"),
    Signature("onenote", 0, b"\xa1\x2f\xff\x43\xd9\xef\x76\x4c\x9e\xe2\x10\xea\x57\x22\x76\x5f"),
    Signature("pdf", 0, b"%PDF-"),
    Signature("ole2", 0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
    Signature("rtf", 0, b"{\\rt"),
    Signature("postscript", 0, b"%!PS"),
    Signature("djvu", 0, b"AT&TFORM"),
    Signature("png", 0, b"\x89PNG\r\n\x1a\n"),
    Signature("jpeg", 0, b"\xff\xd8\xff"),
    Signature("gif", 0, b"GIF87a"),
    Signature("gif", 0, b"GIF89a"),
    Signature("tiff", 0, b"II*\0"),
    Signature("tiff", 0, b"MM\0*"),
    Signature("ico", 0, b"\0\0\x01\0"),
    Signature("ico", 0, b"\0\0\x02\0"),
    Signature("jxl", 0, b"\xff\x0a"),
    Signature("jxl", 0, b"\0\0\0\x0cJXL \r\n\x87\n"),
    Signature("psd", 0, b"8BPS"),
    Signature("mp3", 0, b"ID3"),
    Signature("ogg", 0, b"OggS"),
    Signature("flac", 0, b"fLaC"),
    Signature("amr", 0, b"#!AMR"),
    Signature("midi", 0, b"MThd"),
    Signature("matroska", 0, b"\x1a\x45\xdf\xa3"),
    Signature("flv", 0, b"FLV\x01"),
    Signature("mpeg", 0, b"\0\0\x01\xba"),
    Signature("mpeg", 0, b"\0\0\x01\xb3"),
    Signature("asf", 0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
    Signature("sqlite", 0, b"SQLite format 3\0"),
    Signature("font", 0, b"OTTO"),
    Signature("font", 0, b"wOFF"),
    Signature("font", 0, b"wOF2"),
    Signature("font", 0, b"\0\x01\0\0\0"),
    Signature("pcap", 0, b"\xd4\xc3\xb2\xa1"),
    Signature("pcap", 0, b"\xa1\xb2\xc3\xd4"),
    Signature("pcap", 0, b"\x0a\x0d\x0d\x0a"),
    Signature("wasm", 0, b"\0asm"),
];

/// How much of the start of a file [`by_content`] wants to see: past the first
/// volume descriptor of an ISO image.
pub const HEAD: usize = 64 * 1024;

/// Every kind whose files begin like this, the likeliest first; never empty.
///
/// More than one means that programs will disagree about the file. A ZIP
/// directory at the end is not looked for here.
pub fn by_content(head: &[u8]) -> Vec<&'static str> {
    let mut kinds: Vec<&'static str> = Vec::new();
    let mut add = |kind: &'static str| {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    };
    if head.is_empty() {
        return vec!["empty"];
    }
    for Signature(kind, offset, magic) in SIGNATURES {
        if head.get(*offset..).is_some_and(|rest| rest.starts_with(magic)) {
            add(match *kind {
                "ole2" if is_installer(head) => "msi",
                "bzip2" if !matches!(head.get(3), Some(b'1'..=b'9')) => continue,
                // Short magic: ask for the header size as well.
                "arj" if !matches!(head.get(2..4), Some([_, 0..=10])) || head.len() < 34 => continue,
                "jxl" if offset == &0 && magic.len() == 2 && is_text(head) => continue,
                kind => kind,
            });
        }
    }
    for probe in PROBES {
        if let Some(kind) = probe(head) {
            add(kind);
        }
    }
    if kinds.is_empty() {
        kinds.push(if is_text(head) { text_kind(head) } else { "unknown" });
    } else if kinds[0] != "pdf"
        // What is stored in an archive, or drawn in a document, is not what the file is.
        && !matches!(named(kinds[0]).group, Group::Archive | Group::Container | Group::Document)
        && !is_text(head)
        && memmem::find(&head[..head.len().min(1024)], b"%PDF-").is_some()
    {
        // Readers accept the header anywhere in the first kilobyte.
        kinds.push("pdf");
    }
    kinds
}

/// Tells one kind from the first bytes.
type Probe = fn(&[u8]) -> Option<&'static str>;

/// Kinds that take more than a fixed string to tell.
static PROBES: &[Probe] = &[
    |head| {
        // DOS and Windows programs; a stub too short to have a header is still named by its first bytes.
        let dos = head.starts_with(b"MZ") || head.starts_with(b"ZM");
        let new_header = || {
            let at = u32::from_le_bytes(head.get(60..64)?.try_into().ok()?) as usize;
            head.get(at..at.checked_add(2)?)
        };
        let real = head.len() < 64 || matches!(new_header(), Some(b"PE" | b"NE" | b"LE" | b"LX")) || !is_text(head);
        (dos && real).then_some("pe")
    },
    |head| {
        // CAFEBABE is a class file when a Java version follows, a fat Mach-O when a small count does.
        let after = head.strip_prefix(b"\xca\xfe\xba\xbe")?;
        Some(if matches!(after.get(..4), Some([0, 0, 0, 1..=30])) { "macho" } else { "class" })
    },
    |head| {
        let size_free = matches!(head.first(), Some(b'F' | b'C' | b'Z')) && head.get(1..3) == Some(b"WS");
        (size_free && matches!(head.get(3), Some(1..=50))).then_some("flash")
    },
    |head| match (head.get(..4)?, head.get(8..12)) {
        (b"RIFF", Some(b"WAVE")) => Some("wav"),
        (b"RIFF", Some(b"AVI ")) => Some("avi"),
        (b"RIFF", Some(b"WEBP")) => Some("webp"),
        _ => None,
    },
    |head| {
        let brand = head.get(4..8).filter(|b| b == b"ftyp").and(head.get(8..12))?;
        Some(match brand {
            b"heic" | b"heix" | b"hevc" | b"mif1" | b"msf1" | b"avif" | b"avis" => "heif",
            b"M4A " | b"M4B " => "m4a",
            _ => "mp4",
        })
    },
    |head| (head.starts_with(b"BM") && head.get(6..10) == Some(&[0; 4]) && head.len() > 26).then_some("bmp"),
    |head| (head.get(2..5) == Some(b"-lh") && head.get(6) == Some(&b'-')).then_some("lzh"),
    |head| (head.get(2..5) == Some(b"-lz") && head.get(6) == Some(&b'-')).then_some("lzh"),
    |head| match head.get(..2)? {
        [0xff, 0xfb | 0xf3 | 0xf2 | 0xfa] => Some("mp3"),
        [0xff, 0xf1 | 0xf9] => Some("aac"),
        _ => None,
    },
    |head| super::tar::is_header(head.get(..512)?).then_some("tar"),
];

/// Windows Installer packages are OLE2 with this class on the root entry.
fn is_installer(head: &[u8]) -> bool {
    const CLASS: &[u8] = b"\x84\x10\x0c\0\0\0\0\0\xc0\0\0\0\0\0\0F";
    memmem::find(head, CLASS).is_some()
}

/// Whether these bytes are text: UTF-16 with a mark, or an ASCII superset without control bytes.
pub(super) fn is_text(head: &[u8]) -> bool {
    if is_utf16(head) {
        return true;
    }
    let sample = &head[..head.len().min(4096)];
    !sample.iter().any(|b| matches!(b, 0..=8 | 0x0e..=0x1a | 0x1c..=0x1f | 0x7f))
}

pub(super) fn is_utf16(head: &[u8]) -> bool {
    head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff")
}

/// Openings that name a script, shortcut or markup, compared in lower case after
/// a byte order mark, white space and comments are taken off.
static OPENINGS: &[(&str, &str)] = &[
    ("<!doctype html", "html"),
    ("<html", "html"),
    ("<head", "html"),
    ("<body", "html"),
    ("<script", "html"),
    ("<iframe", "html"),
    ("<svg", "svg"),
    ("<job", "wsf"),
    ("<package", "wsf"),
    ("<scriptlet", "wsf"),
    ("<component", "wsf"),
    ("<hta:application", "hta"),
    ("<?php", "php"),
    ("<?xml", "xml"),
    ("[internetshortcut]", "url"),
    ("[shell]", "scf"),
    ("[desktop entry]", "desktop"),
    ("[.shellclassinfo]", "folder"),
    ("[autorun]", "folder"),
    ("[theme]", "theme"),
    ("windows registry editor version", "registry"),
    ("regedit4", "registry"),
    ("@echo off", "batch"),
    ("@echo on", "batch"),
    ("@setlocal", "batch"),
    ("#requires -", "powershell"),
    ("[cmdletbinding(", "powershell"),
    ("powershell -", "batch"),
    ("powershell.exe -", "batch"),
    ("on error resume next", "vbscript"),
    ("#@~^", "vbscript"),
    ("mime-version: 1.0", "mhtml"),
];

/// Phrases that only a script of that kind has.
static PHRASES: &[(&str, &str)] = &[
    ("<hta:application", "hta"),
    ("<librarydescription", "library"),
    ("<searchconnectordescription", "search"),
    ("<persistedquery", "search"),
    ("<pcsettings", "settings"),
    ("<mmc_consolefile", "console"),
    ("new activexobject(", "javascript"),
    ("wscript.createobject(", "javascript"),
    ("= createobject(\"", "vbscript"),
    ("=createobject(\"", "vbscript"),
    ("invoke-expression ", "powershell"),
    ("new-object net.webclient", "powershell"),
    ("new-object system.net.webclient", "powershell"),
    ("[convert]::frombase64string(", "powershell"),
    ("[system.convert]::frombase64string(", "powershell"),
];

/// What kind of text it is.
fn text_kind(head: &[u8]) -> &'static str {
    let text = folded(&head[..head.len().min(8192)]);
    let mut start = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n', '\x0c']);
    if let Some(line) = start.strip_prefix("#!") {
        return interpreter(line.lines().next().unwrap_or_default());
    }
    // Markup may open with comments and declarations; look at the first element behind them.
    let mut xml = false;
    for _ in 0..16 {
        let rest = if start.starts_with("<!--") {
            start.split_once("-->")
        } else if start.starts_with("<?xml") || (start.starts_with("<!doctype") && !start.starts_with("<!doctype html"))
        {
            xml = true;
            start.split_once(if start.starts_with("<!doctype") && start.contains("]>") { "]>" } else { ">" })
        } else {
            None
        };
        let Some((_, rest)) = rest else { break };
        start = rest.trim_start();
    }
    if let Some((_, kind)) = PHRASES.iter().find(|(phrase, _)| text.contains(phrase)) {
        return kind;
    }
    if let Some((_, kind)) = OPENINGS.iter().find(|(opening, _)| start.starts_with(opening)) {
        return kind;
    }
    match (xml, start.starts_with('<')) {
        (true, _) => "xml",
        (false, true) if text.contains("<script") || text.contains("<body") || text.contains("<iframe") => "html",
        _ => "text",
    }
}

/// The kind of script an interpreter line asks for.
fn interpreter(line: &str) -> &'static str {
    const KNOWN: &[(&str, &str)] = &[
        ("python", "python"),
        ("perl", "perl"),
        ("ruby", "ruby"),
        ("php", "php"),
        ("node", "javascript"),
        ("osascript", "applescript"),
        ("pwsh", "powershell"),
    ];
    KNOWN.iter().find(|(word, _)| line.contains(word)).map_or("shell", |(_, kind)| kind)
}

/// Lower case, with the zero bytes of UTF-16 left out: enough to look for ASCII words.
fn folded(head: &[u8]) -> String {
    let skip = if is_utf16(head) { 2 } else { 0 };
    let wide = skip > 0;
    let bytes: Vec<u8> = head[skip..].iter().filter(|b| !wide || **b != 0).map(u8::to_ascii_lowercase).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_extensions_and_types_stand_once() {
        for (i, a) in KINDS.iter().enumerate() {
            for b in &KINDS[i + 1..] {
                assert_ne!(a.name, b.name);
                assert!(!a.extensions.iter().any(|e| b.extensions.contains(e)), "{} {}", a.name, b.name);
                assert!(!a.types.iter().any(|t| b.types.contains(t)), "{} {}", a.name, b.name);
            }
        }
        for Signature(kind, ..) in SIGNATURES {
            assert_eq!(named(kind).name, *kind);
        }
        for (_, kind) in OPENINGS.iter().chain(PHRASES) {
            assert_eq!(named(kind).name, *kind);
        }
    }

    #[test]
    fn content_is_told_by_its_first_bytes() {
        let utf16: Vec<u8> = b"\xff\xfe".iter().copied().chain("@echo off\r\n".bytes().flat_map(|b| [b, 0])).collect();
        let mut iso = vec![0u8; 40_000];
        iso[32_769..32_774].copy_from_slice(b"CD001");
        let mut pe = vec![0u8; 256];
        pe[..2].copy_from_slice(b"MZ");
        pe[60] = 0x80;
        pe[0x80..0x84].copy_from_slice(b"PE\0\0");
        let cases: &[(&[u8], &str)] = &[
            (b"", "empty"),
            (b"MZ", "pe"),
            (&pe, "pe"),
            (b"MZ is the name of a pattern that this text speaks about, at some length, over a line", "text"),
            (b"\x7fELF\x02\x01\x01", "elf"),
            (b"\xca\xfe\xba\xbe\0\0\0\x34", "class"),
            (b"\xca\xfe\xba\xbe\0\0\0\x02", "macho"),
            (b"PK\x03\x04", "zip"),
            (b"Rar!\x1a\x07\x01\0", "rar"),
            (&iso, "iso"),
            (b"%PDF-1.7", "pdf"),
            (b"\xff\xd8\xff\xe0", "jpeg"),
            (b"RIFF\0\0\0\0WEBP", "webp"),
            (b"\0\0\0\x18ftypM4A ", "m4a"),
            (b"#!/usr/bin/env python3\n", "python"),
            (b"#!/bin/sh\n", "shell"),
            (b"\xef\xbb\xbf@Echo Off\r\n", "batch"),
            (&utf16, "batch"),
            (b"<?xml version='1.0'?>\n<!-- x -->\n<svg xmlns='http://www.w3.org/2000/svg'/>", "svg"),
            (b"<?xml version='1.0'?><note/>", "xml"),
            (b"<!-- c --><!DOCTYPE html><p>", "html"),
            (b"<html><head><hta:application id=a></head>", "hta"),
            (b"[InternetShortcut]\r\nURL=http://x.example/", "url"),
            (b"[Shell]\r\nCommand=2\r\nIconFile=\\\\h\\s\\i.ico", "scf"),
            (b"<?xml version=\"1.0\"?><libraryDescription>", "library"),
            (b"var s = new ActiveXObject('WScript.Shell')", "javascript"),
            (b"Set s = CreateObject(\"WScript.Shell\")", "vbscript"),
            (b"Dear all, please find the minutes below.", "text"),
            ("Grüße aus Köln".as_bytes(), "text"),
            (b"\x01\x02\x03\x04", "unknown"),
        ];
        for (bytes, kind) in cases {
            assert_eq!(by_content(bytes)[0], *kind, "{:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(40)]));
        }
    }

    #[test]
    fn media_types_are_matched_without_case_or_parameters() {
        assert_eq!(by_type("Image/PNG; charset=binary").map(|k| k.name), Some("png"));
        assert!(by_type("application/octet-stream").is_none());
    }
}
