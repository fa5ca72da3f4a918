use super::*;

/// Returns a header in the named form with its content, padded.
fn member(kind: u8, path: &str, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.set_entry_type(tar::EntryType::new(kind));
    header.as_ustar_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut bytes = [header.as_bytes(), content].concat();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn archive(members: &[Vec<u8>]) -> Vec<u8> {
    [members.concat(), vec![0; 1024]].concat()
}

/// Returns path and content of each member, or the fault.
fn read(archive: &[u8]) -> Result<Vec<(String, Vec<u8>)>, TarFault> {
    let mut stream = Untar::new(archive);
    let mut members = Vec::new();
    while let Some(member) = stream.next_member()? {
        let mut content = Vec::new();
        stream.read_to_end(&mut content).map_err(|error| stream.fault(error))?;
        assert_eq!(content.len() as u64, member.size);
        members.push((member.path.to_string(), content));
    }
    Ok(members)
}

fn fault(members: &[Vec<u8>]) -> String {
    read(&archive(members)).unwrap_err().to_string()
}

#[test]
fn long_names_of_gnu_and_pax_count_for_the_next_member_alone() {
    let long = format!("a/{}", "n".repeat(300));
    let record = format!(" path={long}\n");
    let record = format!("{}{record}", record.len() + 3);
    let unknown = b"14 comment=\n\n\n";
    for before in
        [member(b'L', "x", long.as_bytes()), member(b'x', "x", &[unknown, record.as_bytes()].concat())]
    {
        let found =
            read(&archive(&[before, member(b'0', "short", b"one"), member(b'0', "./b", b"two")])).unwrap();
        assert_eq!(found, [(long.clone(), b"one".to_vec()), ("b".to_owned(), b"two".to_vec())]);
    }
}

#[test]
fn a_size_in_a_pax_header_wins() {
    let mut big = member(b'0', "big", b"");
    big.extend([b"12345".to_vec(), vec![0; 507]].concat());
    let found = read(&archive(&[member(b'x', "x", b"10 size=5\n"), big])).unwrap();
    assert_eq!(found, [("big".to_owned(), b"12345".to_vec())]);
}

#[test]
fn paths_that_leave_the_archive_are_refused() {
    for path in ["/etc/passwd", "../x", "a/../../x", "a//b", "..", "a\u{1b}[2J"] {
        let message = fault(&[member(b'0', path, b"")]);
        assert!(message.contains("not a path within an archive"), "{path}: {message}");
    }
    assert!(fault(&[member(b'L', "x", b"../up"), member(b'0', "y", b"")]).contains("`../up`"));
}

#[test]
fn what_no_honest_archive_has_is_refused() {
    let file = || member(b'0', "a", b"");
    assert_eq!(fault(&[file(), file()]), "it has the member `a`, which is there twice");
    assert_eq!(
        fault(&[member(b'3', "dev", b"")]),
        "it has the member `dev`, which is of the unknown kind `3`"
    );
    assert_eq!(
        fault(&[member(b'S', "sparse", b"")]),
        "it has the member `sparse`, which is of the unknown kind `S`"
    );
    for records in [&b"22 GNU.sparse.major=1\n"[..], b"10 size=x\n", b"99 path=x\n", b"path", b"0 a=b\n"] {
        assert!(fault(&[member(b'x', "x", records), file()]).contains("malformed long name or PAX header"));
    }
    let long = |number: usize| member(b'L', "x", format!("{number:04}{}", "/n".repeat(2000)).as_bytes());
    let many: Vec<_> = (0..4600).flat_map(|number| [long(number), file()]).collect();
    assert!(fault(&many).contains("more than 16777216 bytes of paths"));
    assert!(fault(&[member(b'L', "x", &vec![b'n'; 2 << 20]), file()]).contains("malformed long name"));
    let mut endless = member(b'x', "x", format!("29 size={}\n", u64::MAX).as_bytes());
    endless.extend(file());
    assert_eq!(fault(&[endless]), "it is truncated: it ends in or after `a`");
}

#[test]
fn damaged_and_truncated_archives_are_no_archives() {
    let whole =
        archive(&[member(b'0', "a", b"content"), member(b'5', "folder", b""), member(b'0', "b", b"more")]);
    assert_eq!(read(&whole).unwrap().len(), 3);
    for length in 0..whole.len() - 1023 {
        let fault = read(&whole[..length]).unwrap_err();
        assert!(matches!(fault, TarFault::Truncated(..)), "{length}: {fault}");
    }
    for position in 0..512 {
        let mut damaged = whole.clone();
        damaged[position] ^= 0x40;
        assert!(read(&damaged).is_err(), "{position}");
    }
}

#[test]
fn links_have_a_target_and_no_content() {
    let mut link = Header::new_ustar();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_path("a/layer.tar").unwrap();
    link.set_link_name("../b/layer.tar").unwrap();
    // As some programs write it.
    link.set_size(99);
    link.set_cksum();
    let bytes = archive(&[link.as_bytes().to_vec()]);
    let member = Untar::new(&bytes[..]).next_member().unwrap().unwrap();
    let kind = MemberKind::Link { target: "../b/layer.tar".to_owned(), is_symbolic: true };
    assert_eq!(member, Member { path: "a/layer.tar".parse().unwrap(), kind, size: 0, offset: 512 });
}
