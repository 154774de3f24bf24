//! Kinds of objects and their attributes.

use crate::support::{Place, layers, names, table};
use husk_bundle::testimage::{Image, Tar, xattrs};

#[test]
fn special_files() {
    let place = Place::new();
    let tar = Tar::new()
        .mode(0o622)
        .fifo("fifo")
        .mode(0o666)
        .owner(1, 5)
        .device(b'3', "null", 1, 3)
        .mode(0o660)
        .device(b'4', "disk", 259, 70_000);
    let tree = layers(&place, vec![tar]).unwrap();
    assert_eq!(
        tree,
        ["disk block 660 0:0 1 259:70000", "fifo fifo 622 0:0 1", "null char 666 1:5 1 1:3"]
    );
}

#[test]
fn what_may_be_replaced() {
    table(&[
        ("file over fifo", |_| vec![Tar::new().fifo("a").file("a", b"x")], Some(&["a"])),
        (
            "file over a lower fifo",
            |_| vec![Tar::new().fifo("a"), Tar::new().file("a", b"x")],
            Some(&["a"]),
        ),
        (
            "file over device",
            |_| vec![Tar::new().device(b'3', "a", 1, 7).file("a", b"x")],
            Some(&["a"]),
        ),
        ("fifo over file", |_| vec![Tar::new().file("a", b"x").fifo("a")], Some(&["a|"])),
        (
            "file over a full directory",
            |_| vec![Tar::new().file("a/b/c", b"").file("a", b"")],
            Some(&["a"]),
        ),
        (
            "directory over file",
            |_| vec![Tar::new().file("a", b"").file("b", b"").dir("a")],
            Some(&["a/", "b"]),
        ),
        ("overlay's mark", |_| vec![Tar::new().device(b'3', "a", 0, 0)], None),
        ("unknown type", |_| vec![Tar::new().member(b'Q', b"a", b"", b"", (0, 0))], None),
        ("owner 2^32-1", |_| vec![Tar::new().owner(u32::MAX.into(), 0).file("a", b"")], None),
        ("group 2^32-1", |_| vec![Tar::new().owner(0, u32::MAX.into()).dir("a")], None),
        ("owner 2^32", |_| vec![Tar::new().owner(1 << 32, 0).file("a", b"")], None),
        (
            "owner 2^32 by extended header",
            |_| vec![Tar::new().pax("uid", "4294967296").file("a", b"")],
            None,
        ),
        ("owner of a link", |_| vec![Tar::new().owner(u32::MAX.into(), 0).symlink("a", "b")], None),
        (
            "attribute over 64 KiB",
            |_| vec![Tar::new().xattr("user.big", vec![b'x'; 65537]).file("a", b"")],
            None,
        ),
    ]);
}

#[test]
fn devices_may_be_left_out() {
    let place = Place::new();
    let tar = Tar::new().mode(0o666).device(b'3', "null", 1, 3).fifo("fifo");
    let mut order = place.layout(Image::new().layer(tar.finish()));
    order.rules.no_devices = true;
    let report = place.run(&order).unwrap();
    assert_eq!(report.devices_left_out, 1);
    assert_eq!(place.tree()[1..], ["fifo fifo 644 0:0 1", "null file 0 0:0 1 ''"]);
}

#[test]
fn modes_owners_and_times_are_exact() {
    let place = Place::new();
    let tar = Tar::new()
        .mode(0)
        .mtime(10)
        .dir("closed")
        .mode(0o555)
        .mtime(-86_400)
        .dir("closed/readonly")
        .mode(0)
        .mtime(-1)
        .file("closed/readonly/none", b"x")
        .mode(0o4755)
        .owner(1000, 50)
        .file("setuid", b"x")
        .mode(0o2755)
        .owner(0, 50)
        .dir("setgid")
        .file("setgid/plain", b"")
        .mode(0o1777)
        .dir("sticky")
        .owner(4_294_967_294, 4_294_967_294)
        .file("high", b"")
        .pax("mtime", "1700000000.123456789")
        .file("nanos", b"")
        .pax("mtime", "-1.5")
        .file("before", b"");
    let tree = layers(&place, vec![tar]).unwrap();
    assert_eq!(
        tree,
        [
            "before file 644 0:0 -2.500000000 ''",
            "closed dir 0 0:0 10",
            "closed/readonly dir 555 0:0 -86400",
            "closed/readonly/none file 0 0:0 -1 'x'",
            "high file 644 4294967294:4294967294 1 ''",
            "nanos file 644 0:0 1700000000.123456789 ''",
            "setgid dir 2755 0:50 1",
            "setgid/plain file 644 0:0 1 ''",
            "setuid file 4755 1000:50 1 'x'",
            "sticky dir 1777 0:0 1",
        ]
    );
}

#[test]
fn a_lower_set_gid_directory_does_not_give_its_group() {
    let place = Place::new();
    let lower = Tar::new().mode(0o2775).owner(0, 50).dir("d");
    let upper = Tar::new().file("d/f", b"").dir("d/e").symlink("d/l", "x");
    let tree = layers(&place, vec![lower, upper]).unwrap();
    assert_eq!(
        tree,
        [
            "d dir 2775 0:50 1",
            "d/e dir 755 0:0 1",
            "d/f file 644 0:0 1 ''",
            "d/l link 777 0:0 1 'x'"
        ]
    );
}

#[test]
fn a_directory_entry_replaces_all_attributes() {
    let place = Place::new();
    let lower = Tar::new().mode(0o700).owner(1, 1).xattr("user.old", "x").dir("d").file("d/a", b"");
    let upper = Tar::new().mode(0o750).owner(2, 2).mtime(5).xattr("user.new", "y").dir("d");
    let tree = layers(&place, vec![lower, upper]).unwrap();
    assert_eq!(tree[0], "d dir 750 2:2 5");
    assert_eq!(names(&tree), ["d/", "d/a"]);
    let found = xattrs(&place.rootfs().join("d"));
    assert_eq!(Vec::from_iter(found.keys()), ["user.new"]);
}

#[test]
fn attributes_that_belong_to_an_image_are_kept() {
    let place = Place::new();
    // cap_net_raw=ep, revision 2.
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let tar = Tar::new()
        .owner(7, 7)
        .mode(0o755)
        .xattr("security.capability", capability)
        .xattr("security.selinux", "label")
        .xattr("trusted.overlay.opaque", "y")
        .xattr("user.plain", "value")
        .pax("LIBARCHIVE.xattr.user.other", "dmFsdWU=")
        .file("program", b"x")
        .xattr("user.dir", "d")
        .dir("d");
    let tree = layers(&place, vec![tar]).unwrap();
    assert_eq!(tree[1], "program file 755 7:7 1 'x'");
    let found = xattrs(&place.rootfs().join("program"));
    assert_eq!(found["security.capability"], capability);
    assert_eq!(found["user.plain"], b"value");
    assert_eq!(found["user.other"], b"value");
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(xattrs(&place.rootfs().join("d"))["user.dir"], b"d");
}

#[test]
fn access_control_lists_are_not_inherited() {
    // user::rwx, user:1000:rwx, group::r-x, mask::rwx, other::r-x
    let acl: Vec<u8> = [2u32.to_le_bytes().to_vec()]
        .into_iter()
        .chain(
            [
                (1u16, 7u16, u32::MAX),
                (2, 7, 1000),
                (4, 5, u32::MAX),
                (16, 7, u32::MAX),
                (32, 5, u32::MAX),
            ]
            .map(|(tag, perm, id)| {
                [&tag.to_le_bytes()[..], &perm.to_le_bytes(), &id.to_le_bytes()].concat()
            }),
        )
        .flatten()
        .collect();
    let place = Place::new();
    let lower = Tar::new().xattr("system.posix_acl_default", &acl).dir("d").file("d/lower", b"");
    let upper = Tar::new().file("d/upper", b"").dir("d/folder");
    layers(&place, vec![lower, upper]).unwrap();
    assert_eq!(
        Vec::from_iter(xattrs(&place.rootfs().join("d")).keys()),
        ["system.posix_acl_default"]
    );
    for name in ["d/lower", "d/upper", "d/folder"] {
        assert_eq!(xattrs(&place.rootfs().join(name)).len(), 0, "{name}");
    }
}

#[test]
fn ids_are_mapped() {
    use husk_bundle::extract::IdRange;
    let range = |container, host, count| IdRange { container, host, count };
    let image =
        || Image::new().layer(Tar::new().owner(0, 5).file("a", b"").symlink("b", "a").finish());
    let place = Place::new();
    let mut order = place.layout(image());
    order.rules.uids.0 = vec![range(0, 100_000, 1000)];
    order.rules.gids.0 = vec![range(0, 200_000, 1000)];
    place.run(&order).unwrap();
    assert_eq!(
        place.tree(),
        [
            ". dir 755 100000:200000 0",
            "a file 644 100000:200005 1 ''",
            "b link 777 100000:200000 1 'a'"
        ]
    );
    // The container's root gets as far as its root file system, nobody else does.
    use std::os::unix::fs::MetadataExt as _;
    let bundle = std::fs::metadata(place.path("bundle")).unwrap();
    assert_eq!((bundle.mode() & 0o7777, bundle.uid(), bundle.gid()), (0o710, 0, 200_000));
    let place = Place::new();
    let mut order = place.layout(image());
    order.rules.gids.0 = vec![range(0, 200_000, 5)];
    let error = place.run(&order).unwrap_err().to_string();
    assert!(error.contains("entry 'a'") && error.contains("group 5"), "{error}");
}
