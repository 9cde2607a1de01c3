use super::*;
use crate::operator::Code;
use crate::record::RECORD_MAX;
use chat_proto::rich::FromClient;
use data_encoding::HEXLOWER as HEX;

const GREETING: &[u8] = b"* chat version 1: you are 10.0.0.5:50312; sealed";
const NOW: Duration = Duration::from_secs(1);

/// Bytes that are different on each side, and the same in each run.
fn bytes(seed: u8) -> impl FnMut(&mut [u8]) {
    let mut next = seed;
    move |bytes| {
        for byte in bytes {
            *byte = next;
            next = next.wrapping_mul(5).wrapping_add(seed);
        }
    }
}

fn keys() -> (KeyPair, KeyPair) {
    (KeyPair::from_secret([1; 32]), KeyPair::from_secret([2; 32]))
}

fn phrase(text: &str) -> Option<Phrase> {
    Phrase::new(text)
}

/// What one handshake did.
struct Run {
    lines: Vec<String>,
    end: Result<(Established, Established, Vec<u8>), (&'static str, Failure)>,
    server: Option<PublicKey>,
    is_kept: bool,
}

/// Plays a handshake. `change` may alter each line on its way; `seen` is the greeting as the client saw it.
fn play(mine: &str, yours: &str, seen: &[u8], change: impl FnMut(usize, &mut String)) -> Run {
    play_with([Cipher::ChaChaPoly; 2], mine, yours, seen, change)
}

/// The same, with the ciphers that are the best ones of client and server.
fn play_with(
    [client_best, server_best]: [Cipher; 2],
    mine: &str,
    yours: &str,
    seen: &[u8],
    mut change: impl FnMut(usize, &mut String),
) -> Run {
    let (client_key, server_key) = keys();
    let (here, there) = (phrase(mine), phrase(yours));
    let offer = Offer {
        greeting: GREETING,
        key: &server_key,
        is_kept: true,
        phrase: there.as_ref(),
    };
    let mut run = Run {
        lines: Vec::new(),
        end: Err(("", Failure::Malformed)),
        server: None,
        is_kept: false,
    };
    let (client, mut line) = Client::begin_with(client_best, seen, &client_key, here.as_ref(), &mut bytes(3));
    change(1, &mut line);
    run.lines.push(line.clone());
    let (server, mut line) = match Server::begin_with(server_best, &offer, line.as_bytes(), &mut bytes(11)) {
        Ok(begun) => begun,
        Err(failure) => {
            run.end = Err(("server", failure));
            return run;
        }
    };
    change(2, &mut line);
    run.lines.push(line.clone());
    let met = match client.read(line.as_bytes()) {
        Ok(met) => met,
        Err(failure) => {
            run.end = Err(("client", failure));
            return run;
        }
    };
    run.server = Some(met.server);
    run.is_kept = met.is_kept;
    let (mut line, at_client) = met.finish("HELLO 1 alice - - -", NOW);
    change(3, &mut line);
    run.lines.push(line.clone());
    run.end = match server.finish(line.as_bytes(), NOW) {
        Ok((first, at_server)) => Ok((at_client, at_server, first)),
        Err(failure) => Err(("server at the end", failure)),
    };
    run
}

#[test]
fn both_sides_agree_and_know_each_other() {
    for with in ["", "six words of a room"] {
        let run = play(with, with, GREETING, |_, _| {});
        let (client_key, server_key) = keys();
        assert_eq!(run.server, Some(server_key.public()));
        assert!(run.is_kept);
        let (mut client, mut server, first) = run.end.unwrap();
        assert_eq!(first, b"HELLO 1 alice - - -");
        assert_eq!(server.peer, client_key.public());
        assert_eq!(client.hash, server.hash);
        let mut wire = Vec::new();
        client
            .channel
            .sealer
            .seal(NOW, [b"SAY 1 hi\n".as_slice()], &mut wire);
        let mut out = Vec::new();
        server.channel.opener.open(&wire, RECORD_MAX, &mut out).unwrap();
        assert_eq!(out, b"SAY 1 hi\n");
        // Its own words do not open for the side that said them.
        assert!(client.channel.opener.open(&wire, RECORD_MAX, &mut out).is_err());
    }
}

/// Encrypts a line by one side, and opens it by the other.
fn carry(from: &mut Established, to: &mut Established) {
    let (mut wire, mut out) = (Vec::new(), Vec::new());
    from.channel
        .sealer
        .seal(NOW, [b"SAY 1 hi\n".as_slice()], &mut wire);
    to.channel.opener.open(&wire, RECORD_MAX, &mut out).unwrap();
    assert_eq!(out, b"SAY 1 hi\n");
}

#[test]
fn records_are_encrypted_by_aes_if_both_sides_have_it() {
    let (aes, chacha) = (Cipher::AesGcm, Cipher::ChaChaPoly);
    for with in ["", "six words of a room"] {
        for (best, agreed) in [
            ([aes, aes], aes),
            ([aes, chacha], chacha),
            ([chacha, aes], chacha),
            ([chacha, chacha], chacha),
        ] {
            let run = play_with(best, with, with, GREETING, |_, _| {});
            let (mut client, mut server, _) = run.end.unwrap();
            carry(&mut client, &mut server);
            carry(&mut server, &mut client);
            assert_eq!(client.channel.sealer.cipher(), agreed, "{best:?}");
        }
    }
}

#[test]
fn nobody_can_change_which_cipher_is_used() {
    // The flags are the last byte of the first message, which is in the clear.
    let run = play_with([Cipher::AesGcm; 2], "", "", GREETING, |line, text| {
        if line == 1 {
            let (begin, message) = text.rsplit_once(' ').unwrap();
            let mut message = decode(message).unwrap();
            assert_eq!(message.pop(), Some(AES_RECORDS));
            *text = format!("{begin} {}", encode(&message));
        }
    });
    assert_eq!(run.end.err(), Some(("client", Failure::Unproven)));
}

#[test]
fn another_passphrase_fails_at_the_third_line_only() {
    let run = play("my guess", "the phrase", GREETING, |_, _| {});
    assert_eq!(run.end.unwrap_err(), ("server at the end", Failure::Unproven));
}

#[test]
fn with_and_without_a_passphrase_do_not_meet() {
    for (mine, yours) in [("", "the phrase"), ("the phrase", "")] {
        let (at, _) = play(mine, yours, GREETING, |_, _| {}).end.unwrap_err();
        assert_eq!(at, "server", "{mine:?}");
    }
}

#[test]
fn a_greeting_changed_on_the_way_is_noticed() {
    let seen = GREETING.strip_suffix(b"; sealed").unwrap();
    assert_eq!(
        play("", "", seen, |_, _| {}).end.unwrap_err(),
        ("client", Failure::Unproven)
    );
}

#[test]
fn no_byte_of_any_line_can_be_changed() {
    for with in ["", "six words of a room"] {
        let lines = play(with, with, GREETING, |_, _| {}).lines;
        for (number, line) in lines.iter().enumerate() {
            for place in 0..line.len() {
                let run = play(with, with, GREETING, |which, line| {
                    if which == number + 1 {
                        let byte = line.as_bytes()[place];
                        let other = if byte == b'B' { "C" } else { "B" };
                        line.replace_range(place..=place, other);
                    }
                });
                let alike = run.lines.get(number) == Some(line);
                assert!(alike || run.end.is_err(), "line {number}, byte {place}, {with:?}");
            }
        }
    }
}

#[test]
fn shares_that_are_no_points_are_refused() {
    let (client_key, server_key) = keys();
    let phrase = phrase("a phrase");
    let offer = Offer {
        greeting: GREETING,
        key: &server_key,
        is_kept: true,
        phrase: phrase.as_ref(),
    };
    let session = Opaque([9; 16]);
    let share = |sent: &[u8]| {
        let mut state = begin(GREETING, session, &client_key, true, &mut bytes(3), true);
        let line = format!("{VERB}{session} {}", encode(&write(&mut state, sent).unwrap()));
        Server::begin(&offer, line.as_bytes(), &mut bytes(4)).err()
    };
    let exchange = Exchange::new(Role::Initiator, phrase.as_ref().unwrap(), b"", b"", &mut bytes(5));
    assert_eq!(share(&exchange.share()), None);
    for sent in [[0; 32], [0xFF; 32]] {
        assert_eq!(share(&sent), Some(Failure::Unproven));
    }
    assert_eq!(share(&[7; 31]), Some(Failure::Malformed));
}

/// The server reads such a key without using it, and fails when it writes.
#[test]
fn ephemeral_keys_of_small_order_are_refused() {
    let (_, key) = keys();
    let phrase = phrase("a phrase");
    let share = Exchange::new(Role::Initiator, phrase.as_ref().unwrap(), b"", b"", &mut bytes(5)).share();
    for (phrase, share) in [(None, [].as_slice()), (phrase.as_ref(), &share)] {
        let offer = Offer {
            greeting: GREETING,
            key: &key,
            is_kept: true,
            phrase,
        };
        for first in [0, 1] {
            let mut ephemeral = [0; 32];
            ephemeral[0] = first;
            let message = [&ephemeral, share].concat();
            let line = format!("{VERB}{} {}", Opaque([9; 16]), encode(&message));
            let end = Server::begin(&offer, line.as_bytes(), &mut bytes(1)).err();
            assert_eq!(end, Some(Failure::Unproven), "{first}");
        }
    }
}

/// Whatever stands in a line, neither side panics.
#[test]
fn messages_of_any_bytes_and_length_are_refused() {
    let (client_key, server_key) = keys();
    for phrase in ["", "a phrase"].map(Phrase::new) {
        let offer = Offer {
            greeting: GREETING,
            key: &server_key,
            is_kept: true,
            phrase: phrase.as_ref(),
        };
        for length in (0..200).chain([1000, 3000, 4096, 10_000]) {
            for byte in [0, 1, 0x7F, 0xFF] {
                let junk = encode(&vec![byte; length]);
                let session = Opaque([9; 16]);
                let first = format!("{VERB}{session} {junk}");
                let begun = Server::begin(&offer, first.as_bytes(), &mut bytes(4));
                let line = format!("{VERB}{junk}");
                if let Ok((server, _)) = begun {
                    assert!(server.finish(line.as_bytes(), NOW).is_err(), "{length} x {byte}");
                }
                let (client, _) = Client::begin(GREETING, &client_key, phrase.as_ref(), &mut bytes(3));
                assert!(client.read(line.as_bytes()).is_err(), "{length} x {byte}");
            }
        }
    }
}

#[test]
fn any_other_line_is_malformed() {
    let (_, key) = keys();
    let offer = Offer {
        greeting: GREETING,
        key: &key,
        is_kept: true,
        phrase: None,
    };
    for line in [
        "",
        "SEAL",
        "SEAL 1 ",
        "SEAL 2 x y",
        "SEAL 1 AAECAwQFBgcICQoLDA0ODw",
        "SEAL 1 AAECAwQFBgcICQoLDA0ODw AAEC",
        "HELLO 1",
    ] {
        let end = Server::begin(&offer, line.as_bytes(), &mut bytes(1)).err();
        assert_eq!(end, Some(Failure::Malformed), "{line:?}");
    }
}

#[test]
fn a_key_of_one_run_is_flagged() {
    let (client_key, key) = keys();
    let offer = Offer {
        greeting: GREETING,
        key: &key,
        is_kept: false,
        phrase: None,
    };
    let (client, line) = Client::begin(GREETING, &client_key, None, &mut bytes(3));
    let (_, line) = Server::begin(&offer, line.as_bytes(), &mut bytes(4)).unwrap();
    assert!(!client.read(line.as_bytes()).unwrap().is_kept);
}

/// Changing these bytes takes a new version of the handshake.
#[test]
fn the_lines_have_the_pinned_bytes() {
    let run = play("", "", GREETING, |_, _| {});
    let pinned = [
        "SEAL 1 AxJd1CfG4WgLOiW8r24p0A RAj2ntWWua21YJQSicUCsYPzFBv22iU6icvXKgIzABs",
        "SEAL 1 s29AVSYMlowmWyQ7XU3y0Cy4QElgacOJ-J0g9dhTF0Efs7FdVLLne3rv3WEW830n7lVL6LHQmOun2PTrYp8V0N5AvzjxJmPjlxKNn4eHV4HpbOe0-BstNc-5CGCKgwL2Og",
        "SEAL 1 HIeS1NAPjxq0KizIjBJVorg5Z8YNOnJXrDl9qAE__noFcW0kJsI931Hs3pgQ7TXMex_fhS6trtfltZn201LDWXOXalnIoyfm8uXtZxBJoY4M7JI",
    ];
    assert_eq!(run.lines, pinned);
    let (client, _, _) = run.end.unwrap();
    assert_eq!(
        HEX.encode(&client.hash),
        "03a53bb95f104964cda739d32d41c8a9da08d0a7738bd153550dbb7759f9a0a6"
    );
}

/// An example of `PROTOCOL.md` is what happens with this passphrase, and these bytes as each side draws them.
fn assert_documented(best: Cipher, phrase: &str, greeting: &str, client_draws: &[u8], server_draws: &[u8]) {
    let (client_key, server_key) = keys();
    let phrase = Phrase::new(phrase);
    let offer = Offer {
        greeting: greeting.as_bytes(),
        key: &server_key,
        is_kept: true,
        phrase: phrase.as_ref(),
    };
    fn draw(draws: &[u8]) -> impl FnMut(&mut [u8]) {
        let mut draws = draws.iter().copied();
        move |bytes| bytes.fill(draws.next().unwrap())
    }
    let (client, one) = Client::begin_with(
        best,
        greeting.as_bytes(),
        &client_key,
        phrase.as_ref(),
        &mut draw(client_draws),
    );
    let (server, two) = Server::begin_with(best, &offer, one.as_bytes(), &mut draw(server_draws)).unwrap();
    let met = client.read(two.as_bytes()).unwrap();
    let (three, mut client) = met.finish("HELLO 1 alice 40101 -", NOW);
    let (_, mut server) = server.finish(three.as_bytes(), NOW).unwrap();
    let hour = Duration::from_secs(3600);
    let record = |side: &mut Established, now, line: &str| {
        let mut out = Vec::new();
        side.channel.sealer.seal(now, [line.as_bytes()], &mut out);
        HEX.encode(&out)
    };
    let code: Code = "aeba-gbaf-aydq-qcik".parse().unwrap();
    let proof = FromClient::Op(code.tag(&client.hash)).to_string();
    let expected = [
        ("client", one),
        ("server", two),
        ("client", three),
        ("client", record(&mut client, NOW, "PING 7\n")),
        ("server", record(&mut server, NOW, "PONG 7\n")),
        ("client", record(&mut client, NOW + hour, "PING 8\n")),
        ("hash  ", HEX.encode(&client.hash)),
        ("proof ", proof),
    ];
    let document = include_str!("../../../proto/PROTOCOL.md");
    assert!(document.contains(greeting), "PROTOCOL.md lacks {greeting}");
    let expected: String = expected
        .iter()
        .map(|(side, what)| format!("    {side}  {what}\n"))
        .collect();
    assert!(
        document.contains(&expected),
        "PROTOCOL.md lacks this:\n{expected}"
    );
}

/// The examples of `PROTOCOL.md`, which are test vectors.
#[test]
fn the_examples_of_the_protocol_are_right() {
    let greeting = "* chat version 1: you are 10.0.0.5:50312; /help says what you can do";
    assert_documented(Cipher::ChaChaPoly, "", greeting, &[5, 3], &[4]);
    assert_documented(Cipher::AesGcm, "", greeting, &[5, 3], &[4]);
    let greeting = "* chat version 1: you are 10.0.0.5:50312; this room has a passphrase: use chat-client";
    assert!(greeting.ends_with(chat_proto::PASSPHRASE));
    assert_documented(
        Cipher::ChaChaPoly,
        "correct horse battery staple",
        greeting,
        &[5, 6, 3],
        &[7, 4],
    );
}

/// With psk0 or psk2, whoever hangs up here would have guessed for nothing; without a psk, any passphrase would do.
#[test]
fn only_the_third_line_depends_on_the_passphrase() {
    let right = play("the phrase", "the phrase", GREETING, |_, _| {});
    let wrong = play("my guess", "the phrase", GREETING, |_, _| {});
    // A client with another passphrase reads the second line all the same.
    assert_eq!(wrong.server, right.server);
    assert_eq!(wrong.end.unwrap_err(), ("server at the end", Failure::Unproven));
    assert!(right.end.is_ok());
    assert!(OPEN.contains("_XX_") && WITH_PHRASE.contains("_XXpsk3_"));
}

#[test]
fn a_server_without_a_valid_share_is_told_nothing() {
    let (client_key, server_key) = keys();
    let phrase = phrase("a phrase");
    for share in [[0; 32].as_slice(), &[0xFF; 32], &[7; 31], &[]] {
        let (client, line) = Client::begin(GREETING, &client_key, phrase.as_ref(), &mut bytes(3));
        let (session, sent) = fields(line.as_bytes()).unwrap().split_once(' ').unwrap();
        let session = session.parse().unwrap();
        let mut state = begin(GREETING, session, &server_key, true, &mut bytes(4), false);
        read(&mut state, &decode(sent).unwrap()).unwrap();
        let payload = [&[0], share].concat();
        let line = format!("{VERB}{}", encode(&write(&mut state, &payload).unwrap()));
        let expected = match share.len() {
            32 => Failure::Unproven,
            _ => Failure::Malformed,
        };
        assert_eq!(client.read(line.as_bytes()).err(), Some(expected), "{share:?}");
    }
}

#[test]
fn a_passphrase_cut_from_the_greeting_is_noticed() {
    let full = [GREETING, chat_proto::PASSPHRASE.as_bytes()].concat();
    // A client that does not see the clause offers no share, and one that sees another greeting is noticed as well.
    let run = play("", "the phrase", GREETING, |_, _| {});
    assert_eq!(run.end.unwrap_err(), ("server", Failure::Unproven));
    let run = play("the phrase", "the phrase", &full, |_, _| {});
    assert_eq!(run.end.unwrap_err(), ("server", Failure::Unproven));
}
