use super::*;
use proptest::prelude::*;

fn at(ms: u64) -> Now {
    Now {
        monotonic: Duration::from_millis(ms),
        unix_ms: 0,
    }
}

/// The keys and pastes of these bytes, by name.
fn decode(pieces: &[&[u8]]) -> Vec<String> {
    let mut decoder = Decoder::default();
    let mut inputs: Vec<Input> = pieces
        .iter()
        .flat_map(|piece| decoder.feed(piece, at(0)))
        .collect();
    inputs.extend(decoder.time_out(at(5_000)));
    assert_eq!(decoder.deadline(), None);
    inputs
        .into_iter()
        .map(|input| match input {
            Input::Key(key) => key.to_string(),
            Input::Paste(text) => format!("paste {text:?}"),
        })
        .collect()
}

#[test]
fn keys_of_many_terminals_are_decoded() {
    let cases: [(&[u8], &str); 82] = [
        (b"a", "A"),
        ("ж".as_bytes(), "Ж"),
        ("李".as_bytes(), "李"),
        (b"\r", "Enter"),
        (b"\n", "Enter"),
        (b"\t", "Tab"),
        (b"\x1b[Z", "Shift-Tab"),
        (b"\x7f", "Backspace"),
        (b"\x08", "Backspace"),
        (b"\x1b\x7f", "Alt-Backspace"),
        (b"\x01", "Ctrl-A"),
        (b"\x1a", "Ctrl-Z"),
        (b"\x1f", "Ctrl-_"),
        (b"\0", "Ctrl- "),
        (b"\x1b", "Esc"),
        (b"\x1bb", "Alt-B"),
        (b"\x1b[A", "Up"),
        (b"\x1bOA", "Up"),
        (b"\x1b[1;5C", "Ctrl-Right"),
        (b"\x1b[1;3D", "Alt-Left"),
        (b"\x1b\x1b[D", "Alt-Left"),
        (b"\x1bOc", "Ctrl-Right"),
        (b"\x1b[H", "Home"),
        (b"\x1b[1~", "Home"),
        (b"\x1b[7~", "Home"),
        (b"\x1bOF", "End"),
        (b"\x1b[4~", "End"),
        (b"\x1b[3~", "Delete"),
        (b"\x1b[3;5~", "Ctrl-Delete"),
        (b"\x1b[5~", "PgUp"),
        (b"\x1b[6~", "PgDn"),
        (b"\x1b[1;5H", "Ctrl-Home"),
        (b"\x1b[7^", "Ctrl-Home"),
        (b"\x1b[1;5F", "Ctrl-End"),
        (b"\x1bOM", "Enter"),
        (b"\x1b[97;5u", "Ctrl-A"),
        (b"\x1b[27u", "Esc"),
        (b"\x1b[13;2u", "Shift-Enter"),
        (b"\x1b[127;3u", "Alt-Backspace"),
        (b"\x1b[9;2u", "Shift-Tab"),
        (b"\x1b[65;2u", "A"),
        (b"\x1b\r", "Alt-Enter"),
        (b"\r\n", "Enter"),
        (b"\x1b[3$", "Shift-Delete"),
        (b"\x1b[3@", "Ctrl-Shift-Delete"),
        (b"\x1bO5C", "Ctrl-Right"),
        (b"\x1bOp", "0"),
        (b"\x1bOk", "+"),
        (b"\x1bOI", "Tab"),
        (b"\x1b[27;5;97~", "Ctrl-A"),
        (b"\x1b[27;2;13~", "Shift-Enter"),
        (b"\x1b[27;5;9~", "Ctrl-Tab"),
        (b"\x1b[97;1:1u", "A"),
        (b"\x1b[97;1:2u", "A"),
        (b"\x1b[1;1:1A", "Up"),
        (b"\x1b[5;1:2~", "PgUp"),
        (b"\x1b[97;33u", "Alt-A"),
        (b"\x1b[97;133u", "Ctrl-A"),
        (b"\x1b[49:33;2u", "!"),
        (b"\x1b[97::98;5u", "Ctrl-A"),
        (b"\x1b[91;5u", "Esc"),
        (b"\x1b[109;5u", "Enter"),
        (b"\x1b[57399u", "0"),
        (b"\x1b[57408;129u", "9"),
        (b"\x1b[57409u", "."),
        (b"\x1b[57410u", "/"),
        (b"\x1b[57413u", "+"),
        (b"\x1b[57414u", "Enter"),
        (b"\x1b[57417;5u", "Ctrl-Left"),
        (b"\x1b[57421u", "PgUp"),
        (b"\x1b[57423u", "Home"),
        (b"\x1b[57426u", "Delete"),
        (b"\x1b[57416u", ","),
        (b"\x1b[57415u", "="),
        // With the text that a key writes, and with the key of the base layout.
        (b"\x1b[55;2;47u", "/"),
        (b"\x1b[0;;229u", "Å"),
        (b"\x1b[97;5;97u", "Ctrl-A"),
        ("\x1b[1092::97;5u".as_bytes(), "Ctrl-A"),
        ("\x1b[1092::97;;1092u".as_bytes(), "Ф"),
        // C1 controls.
        ("\u{9b}A".as_bytes(), "Up"),
        ("\u{8f}M".as_bytes(), "Enter"),
        ("\u{9b}27;5;97~".as_bytes(), "Ctrl-A"),
    ];
    for (bytes, name) in cases {
        assert_eq!(decode(&[bytes]), [name], "{bytes:?}");
    }
}

#[test]
fn bytes_without_a_meaning_are_skipped() {
    for bytes in [
        b"\x1b[[A".as_slice(),
        b"\x1b[15~",
        b"\x1b[?1;2c",
        b"\x1b[I",
        b"\xff",
        b"\xc2\x80",
        b"\xc2\x9c",
        b"\xe4\xb8",
        // Clicks of the mouse.
        b"\x1b[M !!",
        "\x1b[M \u{85}!".as_bytes(),
        b"\x1b[<0;10;10M",
        b"\x1b[<0;10;10m",
        b"\x1b[32;10;10M",
        b"\x1b[t!!",
        b"\x1b[T!!!!!!",
        // Answers.
        b"\x1b]11;rgb:1e1e/1e1e/1e1e\x1b\\",
        b"\x1b]11;rgb:1e1e/1e1e/1e1e\x07",
        b"\x1b]lTitle\x1b\\",
        b"\x1bP>|XTerm(388)\x1b\\",
        b"\x1bP1$r0m\x1b\\",
        b"\x1b_Gi=31;OK\x1b\\",
        b"\x1b^private\x07",
        b"\x1bXstring\x1b\\",
        b"\x1b]11;cut off\x18",
        b"\x1b]11;cut off\r",
        b"\x1b[?2026;2$y",
        b"\x1b[4;2$y",
        b"\x1b[?62;22c",
        b"\x1b[24;80R",
        b"\x1b[8;24;80t",
        b"\x1b[0n",
        b"\x1bOP",
        b"\x1b]",
        "\u{9d}11;rgb:1e1e/1e1e/1e1e\u{9c}".as_bytes(),
        "\u{90}>|XTerm(388)\x1b\\".as_bytes(),
        "\u{9f}Gi=31;OK\x07".as_bytes(),
        "\u{9e}private\u{9c}".as_bytes(),
        "\u{98}string\u{9c}".as_bytes(),
        "\x1b]lÜber\u{9c}".as_bytes(),
        "\u{9b}?62;22c".as_bytes(),
        "\u{9b}M !!".as_bytes(),
        "\u{9b}200~".as_bytes(),
        "\u{9b}201~".as_bytes(),
        b"\x1b[?997;1n",
        b"\x1b[48;24;80;480;640t",
        b"\x1b[?0u",
        b"\x1b[O",
        b"\x1b[>0;276;0c",
        b"\x1b[17;29;97;0;0;1_",
        b"\x1b[201~",
        // Releases, and keys that nothing is bound to.
        b"\x1b[104;1:3u",
        b"\x1b[104;:3u",
        b"\x1b[1;1:3A",
        b"\x1b[5;1:3~",
        b"\x1b[57358u",
        b"\x1b[57441;2u",
        b"\x1b[57428u",
        b"\x1b[97;9u",
        b"\x1b[27;5~",
        b"\x1b[1114112u",
        b"\x1b[99999999999u",
    ] {
        assert_eq!(decode(&[bytes, b"x"]), ["X"], "{bytes:?}");
    }
}

#[test]
fn the_cuts_between_reads_do_not_matter() {
    let stream = "a\x1b[1;5C李\x1bf\x1b[200~one\ntwo\x1b[31m\x1b[201~\x1b[A\x03".as_bytes();
    let whole = [
        "A",
        "Ctrl-Right",
        "李",
        "Alt-F",
        "paste \"one\\ntwo\\u{1b}[31m\"",
        "Up",
        "Ctrl-C",
    ];
    for cut in 0..=stream.len() {
        assert_eq!(decode(&[&stream[..cut], &stream[cut..]]), whole, "cut at {cut}");
    }
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(decode(&bytes), whole);
}

#[test]
fn a_sequence_ends_where_another_key_begins() {
    for (bytes, keys) in [
        (b"\x1b[\r".as_slice(), ["Enter"].as_slice()),
        (b"\x1b[\x1b[A", &["Up"]),
        (b"\x1bO\x1b[A", &["Up"]),
        (b"\x1b[[\r", &["Enter"]),
        (b"\x1b]11;\x1b[A", &["Up"]),
        (b"\x1b]hi", &["H", "I"]),
        (b"\x1b\x1b\x1b[A", &["Esc", "Alt-Up"]),
    ] {
        assert_eq!(decode(&[bytes]), keys, "{bytes:?}");
    }
}

#[test]
fn a_lone_escape_is_a_key_after_its_timeout() {
    let mut decoder = Decoder::default();
    assert_eq!(decoder.feed(b"\x1b", at(0)), []);
    assert_eq!(decoder.deadline(), Some(ESCAPE_WAIT));
    assert_eq!(decoder.time_out(at(149)), []);
    assert_eq!(decoder.time_out(at(150)), [Input::Key(Code::Esc.into())]);
}

/// The items of these pieces, with so many milliseconds before each.
fn slowly(pieces: &[(u64, &[u8])]) -> Vec<Input> {
    let mut decoder = Decoder::default();
    let (mut ms, mut inputs) = (0, Vec::new());
    for &(pause, piece) in pieces {
        ms += pause;
        inputs.extend(decoder.time_out(at(ms)));
        inputs.extend(decoder.feed(piece, at(ms)));
    }
    inputs.extend(decoder.time_out(at(ms + 10_000)));
    inputs
}

fn key(code: Code) -> Input {
    Input::Key(code.into())
}

#[test]
fn what_has_begun_outlasts_a_slow_link() {
    let sequences: [&[u8]; 8] = [
        b"\x1b[A",
        b"\x1bOA",
        b"\x1b[1;1A",
        b"\x1b[M !!\x1b[A",
        b"\x1b]11;rgb:1e\x1b\\\x1b[A",
        b"\x1bP1$r0m\x1b\\\x1b[A",
        b"\x1b_Gi=31;OK\x1b\\\x1b[A",
        b"\x1b[57419;1u",
    ];
    for sequence in sequences {
        for cut in 0..=sequence.len() {
            let (head, tail) = sequence.split_at(cut);
            assert_eq!(
                slowly(&[(0, head), (80, tail)]),
                [key(Code::Up)],
                "{sequence:?} at {cut}"
            );
        }
        let bytes: Vec<(u64, &[u8])> = sequence.chunks(1).map(|byte| (80, byte)).collect();
        assert_eq!(slowly(&bytes), [key(Code::Up)], "{sequence:?}");
    }
    let cut = slowly(&[(0, b"\xe4\xb8"), (2_000, b"\x96")]);
    assert_eq!(cut, [key(Code::Char('世'))]);
}

#[test]
fn a_sequence_without_an_end_is_discarded() {
    for sequence in [
        b"\x1b[".as_slice(),
        b"\x1bO",
        b"\x1b[20",
        b"\x1b[M !",
        b"\x1b]",
        b"\x1b]11;rgb",
        b"\x1b]11;rgb\x1b",
        b"\x1bP",
        b"\x1bP1$r",
        b"\xe4\xb8",
    ] {
        let keys = slowly(&[(0, sequence), (3_000, b"x")]);
        assert_eq!(keys, [key(Code::Char('x'))], "{sequence:?}");
    }
    // Nor does typing on make it longer.
    let mut typed: Vec<(u64, &[u8])> = vec![(0, b"\x1b]1")];
    typed.extend([(400, b"a".as_slice()); 10]);
    assert_eq!(
        slowly(&typed),
        [key(Code::Char('a')), key(Code::Char('a')), key(Code::Char('a'))]
    );
}

#[test]
fn alt_with_a_bracket_swallows_nothing() {
    for prefix in [b"\x1b]".as_slice(), b"\x1bP", b"\x1b_", b"\x1b^", b"\x1bX"] {
        let keys = slowly(&[(0, prefix), (150, b"1"), (10, b"x")]);
        assert_eq!(keys, [key(Code::Char('1')), key(Code::Char('x'))], "{prefix:?}");
    }
}

#[test]
fn strings_and_sequences_are_bounded() {
    let string = [b"\x1b]1".as_slice(), &vec![b'x'; STRING_LENGTH]].concat();
    assert!(decode(&[&string]).len() < STRING_LENGTH);
    let sequence = [b"\x1b[".as_slice(), &[b'1'; 4096], b"x"].concat();
    assert!(!decode(&[&sequence]).is_empty());
}

const STRING_LENGTH: usize = 70_000;

fn paste(text: &str) -> Input {
    Input::Paste(text.into())
}

#[test]
fn only_its_mark_or_the_user_ends_a_paste() {
    let late = slowly(&[
        (0, b"\x1b[200~one\ntwo\n"),
        (9_000, b"your turn\n"),
        (9_000, b"\x1b[201~"),
    ]);
    assert_eq!(late, [paste("one\ntwo\nyour turn\n")]);
    for end in [
        b"\x1b".as_slice(),
        b"\x03",
        b"\x1b[27u",
        b"\x1b[99;5u",
        b"\x1b[27;5;99~",
    ] {
        let ended = slowly(&[(0, b"\x1b[200~one\ntwo"), (10, end), (1_000, b"x")]);
        assert_eq!(ended, [paste("one\ntwo"), key(Code::Char('x'))], "{end:?}");
        // Among other bytes they are text.
        let among = [b"\x1b[200~a".as_slice(), end, b"b\x1b[201~"].concat();
        assert!(
            matches!(&slowly(&[(0, &among)])[..], [Input::Paste(_)]),
            "{end:?}"
        );
    }
}

#[test]
fn the_marks_of_a_paste_can_be_cut_by_a_slow_link() {
    let stream = "\x1b[200~one 李\ntwo\x1b[201~".as_bytes();
    for cut in 0..=stream.len() {
        let (head, tail) = stream.split_at(cut);
        assert_eq!(
            slowly(&[(0, head), (80, tail)]),
            [paste("one 李\ntwo")],
            "cut at {cut}"
        );
        // Only a lone Escape at the beginning is a key by then.
        if cut != 1 {
            assert_eq!(
                slowly(&[(0, head), (2_300, tail)]),
                [paste("one 李\ntwo")],
                "cut at {cut}"
            );
        }
    }
}

#[test]
fn a_paste_has_bounded_memory() {
    let mut decoder = Decoder::default();
    decoder.feed(b"\x1b[200~", at(0));
    for _ in 0..40 {
        assert_eq!(decoder.feed(&[b'x'; 65_536], at(0)), []);
    }
    let [Input::Paste(text)] = &decoder.feed(PASTE_END, at(0))[..] else {
        panic!("no paste");
    };
    assert_eq!(text.len(), PASTE_MAX);
}

#[test]
fn several_line_ends_in_one_read_are_a_paste() {
    for bytes in [
        "one\rtwo\r/quiet\r",
        "one\ntwo\n/quiet\n",
        "one\r\ntwo\r\n/quiet\r\n",
        "one\x1bOMtwo\x1b[13u/quiet\x1b\r",
    ] {
        let read = slowly(&[(0, bytes.as_bytes()), (49, b"y"), (100, b"n")]);
        assert_eq!(
            read,
            [paste("one\ntwo\n/quiet\ny"), key(Code::Char('n'))],
            "{bytes:?}"
        );
    }
    let typed = slowly(&[(0, b"one\r\n"), (60, b"\r"), (0, b"\n"), (10, b"x")]);
    assert_eq!(typed.len(), 6);
}

#[test]
fn a_paste_without_marks_may_come_in_several_reads() {
    let pieces = slowly(&[
        (0, b"one\rtw"),
        (49, b"o"),
        (49, b"\rthree"),
        (49, b"\r"),
        (100, b"n"),
    ]);
    assert_eq!(pieces, [paste("one\ntwo\nthree\n"), key(Code::Char('n'))]);
    // A line that a slow link delivers at once is none.
    let mut decoder = Decoder::default();
    assert_eq!(decoder.feed(b"ok\r", at(0)), []);
    assert_eq!(decoder.time_out(at(49)), []);
    let line = [key(Code::Char('o')), key(Code::Char('k')), key(Code::Enter)];
    assert_eq!(decoder.time_out(at(50)), line);
    // A line end alone was typed.
    assert_eq!(decoder.feed(b"\r", at(60)), [key(Code::Enter)]);
}

/// Bytes of every family.
fn item() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a",
        "李",
        "🏳\u{fe0f}\u{200d}🌈",
        "\r",
        "\r\n",
        "\n",
        "\t",
        "\x7f",
        "\x01",
        "\x1b[A",
        "\x1b[1;5C",
        "\x1bOA",
        "\x1bO5A",
        "\x1bOp",
        "\x1bf",
        "\x1b\x1b[D",
        "\x1b[[A",
        "\u{9b}A",
        "\u{9d}0;Ü\u{9c}",
        "\x1b[3$",
        "\x1b[3^",
        "\x1b[97;5u",
        "\x1b[104;1:3u",
        "\x1b[27;5;97~",
        "\x1b[57414u",
        "\x1b[M !!",
        "\x1b[M \u{85}!",
        "\x1b[<0;1;1M",
        "\x1b[t!!",
        "\x1b[?62c",
        "\x1b]11;rgb:1e/1e/1e\x1b\\",
        "\x1b]0;x\x07",
        "\x1b]h",
        "\x1bP>|x\x1b\\",
        "\x1b_G\x1b\\",
        "\x1b^a\x1b\\",
        "\x1bXa\x07",
        "\x1b[200~one\r\ntwo\x1b[31m李\x1b[201~",
        "\x1b[200~\x1b[201~",
        "\x1b[201~",
        "\x1b[\r",
        "\x1b]1\r",
    ])
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic_and_are_done_with(
        pieces in prop::collection::vec(prop::collection::vec(prop_oneof![Just(0x1b), Just(b'['), Just(b'O'), Just(b'~'), any::<u8>()], 0..20), 0..8))
    {
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        let _ = decode(&pieces);
    }

    #[test]
    fn a_stream_means_the_same_however_it_is_cut(
        items in prop::collection::vec(item(), 0..12), cuts in prop::collection::vec(0usize..200, 0..12))
    {
        let stream = items.concat().into_bytes();
        let mut whole = Decoder::default();
        let expected = whole.decode(&stream, at(0));
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let mut decoder = Decoder::default();
        let inputs: Vec<Input> = cuts.windows(2).flat_map(|cut| decoder.decode(&stream[cut[0]..cut[1]], at(0))).collect();
        prop_assert_eq!(inputs, expected);
        prop_assert_eq!(decoder.pending, whole.pending);
    }

    #[test]
    fn any_bytes_mean_the_same_however_they_are_cut(
        stream in prop::collection::vec(prop_oneof![Just(0x1b), Just(b'['), Just(b'O'), Just(b'M'), Just(b']'), any::<u8>()], 0..60), cut in 0usize..60)
    {
        let expected = Decoder::default().decode(&stream, at(0));
        let mut decoder = Decoder::default();
        let (head, tail) = stream.split_at(cut.min(stream.len()));
        let mut inputs = decoder.decode(head, at(0));
        inputs.extend(decoder.decode(tail, at(0)));
        prop_assert_eq!(inputs, expected);
    }
}

#[test]
fn an_answer_about_the_background_is_no_key_and_delays_none() {
    for answer in [
        &b"\x1b]11;rgb:1818/1919/1a1a\x1b\\"[..],
        b"\x1b]11;rgb:18/19/1a\x07",
        b"\xc2\x9d11;rgb:1818/1919/1a1a\xc2\x9c",
    ] {
        for cut in 0..=answer.len() {
            let mut decoder = Decoder::default();
            let (begin, end) = answer.split_at(cut);
            let mut keys = decoder.feed(&[b"a", begin].concat(), at(0));
            assert_eq!(keys.len(), 1, "{cut}");
            keys.extend(decoder.feed(&[end, b"b"].concat(), at(1)));
            let typed: Vec<Input> = ['a', 'b'].map(|key| Input::Key(Code::Char(key).into())).into();
            assert_eq!(keys, typed, "{cut}");
            assert_eq!(decoder.take_background(), Some(Rgb(0x18, 0x19, 0x1a)), "{cut}");
            assert_eq!(decoder.take_background(), None);
            assert_eq!(decoder.deadline(), None);
        }
    }
}
