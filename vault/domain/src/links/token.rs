//! What could be a host, character by character and label by label.

/// Endings of file names that are no top-level domains (IANA's list): `report.pdf` is a file, `report.zip` may be a host.
const FILES: &[&str] = &[
    "bak", "bin", "bmp", "cfg", "conf", "css", "csv", "doc", "docx", "dll", "eml", "epub", "exe", "gif",
    "gz", "heic", "htm", "html", "ics", "ini", "ipynb", "jpeg", "jpg", "js", "json", "jsonl", "log", "mp3",
    "mpeg", "mp4", "m4a", "msg", "odp", "ods", "odt", "ogg", "pdf", "php", "png", "ppt", "pptx", "rtf",
    "sql", "svg", "tar", "tex", "tiff", "toml", "tsv", "txt", "vcf", "wav", "webp", "xls", "xlsx", "xml",
    "yaml", "yml",
];

/// Top-level domains in East Asian scripts, which are written without spaces: there, a full stop between two words is
/// the rule, and only these make a host of it. A host that is marked as one needs no such list.
const EAST_ASIAN: &[&str] = &[
    "中国",
    "中國",
    "香港",
    "台湾",
    "台灣",
    "澳門",
    "澳门",
    "新加坡",
    "公司",
    "网络",
    "網絡",
    "网址",
    "网站",
    "网店",
    "中文网",
    "在线",
    "中信",
    "集团",
    "我爱你",
    "商城",
    "商店",
    "商标",
    "娱乐",
    "游戏",
    "企业",
    "信息",
    "健康",
    "佛山",
    "八卦",
    "公益",
    "嘉里",
    "嘉里大酒店",
    "大拿",
    "大众汽车",
    "天主教",
    "家電",
    "广东",
    "微博",
    "慈善",
    "手机",
    "招聘",
    "政务",
    "政府",
    "新闻",
    "时尚",
    "書籍",
    "机构",
    "淡马锡",
    "点看",
    "珠宝",
    "移动",
    "组织机构",
    "诺基亚",
    "谷歌",
    "购物",
    "通販",
    "集団",
    "電訊盈科",
    "飞利浦",
    "食品",
    "餐厅",
    "香格里拉",
    "亚马逊",
    "联通",
    "工行",
    "みんな",
    "アマゾン",
    "クラウド",
    "グーグル",
    "コム",
    "ストア",
    "セール",
    "ファッション",
    "ポイント",
    "世界",
    "한국",
    "삼성",
    "닷컴",
    "닷넷",
];

/// Whether the character can stand within a label. Whatever is no ASCII and no punctuation can: some reader may map it
/// to a letter.
pub(super) fn is_host(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    }
    !c.is_whitespace() && !is_punctuation(c)
}

fn is_punctuation(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{a9}' | '\u{ab}'..='\u{b4}' | '\u{b6}'..='\u{b8}' | '\u{bb}'..='\u{bf}' | '×' | '÷'
        | '\u{37e}' | '\u{387}' | '\u{589}' | '\u{5be}' | '\u{5c0}' | '\u{5c3}' | '\u{60c}' | '\u{61b}' | '\u{61f}'
        | '\u{6d4}' | '\u{964}' | '\u{965}'
        | '\u{2000}'..='\u{206f}' | '\u{20a0}'..='\u{20cf}' | '\u{2190}'..='\u{23ff}' | '\u{2500}'..='\u{25ff}'
        | '\u{2e00}'..='\u{2e7f}' | '\u{3000}'..='\u{3004}' | '\u{3008}'..='\u{3020}' | '\u{3030}' | '\u{30fb}'
        | '\u{fd3e}' | '\u{fd3f}' | '\u{fe10}'..='\u{fe19}' | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff01}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}' | '\u{ff3b}'..='\u{ff40}' | '\u{ff5b}'..='\u{ff65}')
}

/// Whether every reader of URLs ends the part with the host here.
pub(super) fn ends_authority(c: char) -> bool {
    c.is_whitespace() || matches!(c, '/' | '?' | '#' | '<' | '>' | '"')
}

/// Whether the character can follow a host in a sentence, and is surely none of it.
pub(super) fn closes(c: char) -> bool {
    matches!(
        c,
        '?' | '#' | '<' | '>' | '"' | '\'' | ')' | ']' | '}' | ',' | ';' | '!' | '*' | '`' | '|' | '~' | ':'
    ) || (!c.is_ascii() && !is_host(c))
}

/// The length of `:8080` here, if that is what stands here.
pub(super) fn port(text: &str) -> Option<usize> {
    let digits = text.strip_prefix(':')?.bytes().take(6).take_while(u8::is_ascii_digit).count();
    (1..=5).contains(&digits).then_some(digits + 1)
}

/// How many bytes of labels and dots stand here.
pub(super) fn run_length(text: &str) -> usize {
    text.find(|c| c != '.' && !is_host(c)).unwrap_or(text.len())
}

/// What of a run of labels and dots some reader could take for a host. `marked` says that what stands around it tells
/// it for one.
pub(super) fn candidates(run: &str, marked: bool) -> impl Iterator<Item = &str> {
    // Two dots in a row are in no host, so each part stands for itself.
    run.split("..").flat_map(move |part| {
        // East Asian text has no spaces, and some readers end a link where another script ends.
        let mixed = !part.is_ascii() && part.contains(is_east_asian);
        let pieces = mixed.then(|| part.split(is_east_asian)).into_iter().flatten();
        std::iter::once(part).chain(pieces).filter_map(move |piece| longest(piece.trim_matches('.'), marked))
    })
}

/// The longest beginning of it that could be a host: its last label could be a top-level domain, or all of it is an
/// address in numbers.
fn longest(part: &str, marked: bool) -> Option<&str> {
    let mut name = part;
    let mut labels = part.bytes().filter(|b| *b == b'.').count() + 1;
    let mut marked = marked;
    while let Some((before, last)) = name.rsplit_once('.') {
        if is_top(last, marked) || (labels == 4 && is_numbers(name)) || is_www(name) {
            return Some(name);
        }
        name = before;
        labels -= 1;
        // Only the whole is next to the mark.
        marked = false;
    }
    None
}

/// Whether a label could be a top-level domain, or begins as one: some readers end a host where the letters end.
pub(super) fn is_top(label: &str, marked: bool) -> bool {
    let label = label.trim_matches(['-', '_']);
    if label.is_ascii() {
        let letters = label.bytes().take_while(u8::is_ascii_alphabetic).count();
        return letters >= 2 && (marked || !FILES.iter().any(|file| label.eq_ignore_ascii_case(file)));
    }
    let letter = |c: char| {
        c.is_alphanumeric()
            || matches!(c, '\u{2100}'..='\u{214f}' | '\u{2460}'..='\u{24ff}' | '\u{3200}'..='\u{33ff}' | '\u{1f100}'..='\u{1f1ff}')
    };
    label.chars().any(letter) && (marked || !label.contains(is_east_asian) || EAST_ASIAN.contains(&label))
}

pub(super) fn is_east_asian(c: char) -> bool {
    matches!(c, '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' | '\u{20000}'..='\u{3ffff}')
}

/// Whether each label is a number in any of the ways of writing an IPv4 address (inet_aton): with four of them it is one.
fn is_numbers(name: &str) -> bool {
    let number = |label: &str| {
        let hex = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
        match hex {
            Some(digits) => digits.bytes().all(|b| b.is_ascii_hexdigit()),
            None => !label.is_empty() && label.bytes().all(|b| b.is_ascii_digit()),
        }
    };
    name.split('.').all(number)
}

fn is_www(name: &str) -> bool {
    name.get(..4).is_some_and(|begin| begin.eq_ignore_ascii_case("www.")) && name.len() > 4
}
