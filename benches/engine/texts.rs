//! Texts to measure over: English of chat length, made from a seed.

/// A small generator (splitmix64): the same texts on every machine.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, below: usize) -> usize {
        (self.next() % below as u64) as usize
    }
}

/// Words of chat with an assistant, common ones more often than rare ones.
const WORDS: &str = "the to a and of i you it is in that for this on with be can have not are my we but so if or \
    as at do what your was all me just how from will there an about would one like which when some more could \
    please they use by has know get make want then them out up need into other any time also than thank only \
    help work file code here see think two now way look using function data run line should new first change \
    list name error question text user message right table server again because after good add write number \
    value test back does each people something day year system set called result order problem between example \
    might really still while before found where show read call case model same part state support page process \
    without project version different however instead second possible point since output input customer team \
    report important access public database email address meeting account payment review document summary \
    explain instructions token password request response query column index method class object string array \
    because through another during against sentence paragraph schedule recipe kitchen weather travel budget";

/// Texts of about `length` bytes: sentences, a few lists, numbers, names, an address or a snippet here and there.
pub(super) fn chat(count: usize, length: usize, seed: u64) -> Vec<Vec<u8>> {
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let mut random = Random::new(seed);
    (0..count).map(|_| one(&words, length, &mut random)).collect()
}

fn one(words: &[&str], length: usize, random: &mut Random) -> Vec<u8> {
    let mut text = String::with_capacity(length + 80);
    while text.len() < length {
        let count = 4 + random.below(16);
        for at in 0..count {
            // The smaller of two draws: the front of the list is common.
            let word = words[random.below(words.len()).min(random.below(words.len()))];
            match (at, word) {
                (0, _) | (_, "i") => {
                    let mut letters = word.chars();
                    text.extend(letters.next().map(|first| first.to_ascii_uppercase()));
                    text.push_str(letters.as_str());
                }
                _ => text.push_str(word),
            }
            text.push_str(match random.below(40) {
                0 => ", ",
                1 => " - ",
                2 => "'s ",
                3 => ": ",
                _ => " ",
            });
        }
        text.truncate(text.trim_end().len());
        text.push_str([". ", ". ", "? ", "! ", ".\n", ".\n\n- "][random.below(6)]);
        let aside = match random.below(24) {
            0 => format!(
                "On {} May {} it was {}. ",
                1 + random.below(28),
                2010 + random.below(16),
                random.below(5000)
            ),
            1 => format!(
                "See https://example.com/docs/{}?page={} for more. ",
                random.below(99),
                random.below(9)
            ),
            2 => {
                "`let total = items.iter().map(|item| item.price * item.count).sum();` ".to_owned()
            }
            3 => format!("Ask Maria.Lopez{}@example.com about it. ", random.below(99)),
            4 => "{\"name\": \"report\", \"rows\": 42, \"ok\": true} ".to_owned(),
            _ => String::new(),
        };
        text.push_str(&aside);
    }
    text.into_bytes()
}
