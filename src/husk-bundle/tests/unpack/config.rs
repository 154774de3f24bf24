//! config.json: what the image says, what the user says, what the profile adds.

use crate::support::{Place, accepted, refused};
use husk_bundle::config::{Profile, Seccomp, Volumes};
use husk_bundle::testimage::{Image, Tar};
use husk_bundle::unpack::Order;
use serde_json::{Value, json};

const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\n\
    web:x:101:102::/srv:/bin/sh\n\
    1000:x:5:5::/:/bin/sh\n\
    broken line\n\
    high:x:4294967296:1::/:/bin/sh\n";
const GROUP: &[u8] = b"root:x:0:\nweb:x:102:web\nlog:x:104:root,web\nadm:x:105:web\n";

fn with_users() -> Image {
    Image::new().layer(Tar::new().file("etc/passwd", PASSWD).file("etc/group", GROUP).finish())
}

#[test]
fn users() {
    for (text, expected) in [
        ("", Some(json!({ "uid": 0, "gid": 0 }))),
        ("0", Some(json!({ "uid": 0, "gid": 0 }))),
        ("web", Some(json!({ "uid": 101, "gid": 102, "additionalGids": [104, 105] }))),
        ("web:log", Some(json!({ "uid": 101, "gid": 104 }))),
        ("web:7", Some(json!({ "uid": 101, "gid": 7 }))),
        ("101", Some(json!({ "uid": 101, "gid": 102 }))),
        ("101:log", Some(json!({ "uid": 101, "gid": 104 }))),
        ("1000", Some(json!({ "uid": 1000, "gid": 0 }))),
        ("4:5", Some(json!({ "uid": 4, "gid": 5 }))),
        ("2147483647", Some(json!({ "uid": 2_147_483_647u32, "gid": 0 }))),
        ("nobody", None),
        ("web:nogroup", None),
        ("high", None),
        ("-1", None),
        ("4294967296", None),
        ("2147483648", None),
        (":::", None),
        ("web:", None),
        (":5", None),
        ("0x1", None),
        (" 1", None),
    ] {
        let place = Place::new();
        let image = with_users().process("User", json!(text));
        match (place.run(&place.layout(image)), expected) {
            (Ok(_), Some(mut expected)) => {
                expected["umask"] = json!(0o22);
                assert_eq!(place.config()["process"]["user"], expected, "{text:?}");
            }
            (Err(_), None) => {}
            (outcome, _) => panic!("{text:?}: {outcome:?}"),
        }
    }
}

#[test]
fn passwd_as_something_else() {
    let image =
        |tar: Tar, user: &str| Image::new().layer(tar.finish()).process("User", json!(user));
    let line = || {
        let mut line = b"web:x:1:1::/:".to_vec();
        line.resize(32 << 20, b'x');
        line
    };
    // The file outside has the user, so following a link there would succeed.
    let place = Place::new();
    std::fs::write(place.path("passwd"), "web:x:0:0::/:\n").unwrap();
    std::fs::create_dir(place.path("etc")).unwrap();
    std::fs::write(place.path("etc/passwd"), "web:x:0:0::/:\n").unwrap();
    let here = place.dir.path().to_str().unwrap().to_owned();
    for (what, tar) in [
        ("link outside", Tar::new().symlink("etc/passwd", format!("{here}/passwd"))),
        ("etc outside", Tar::new().symlink("etc", format!("{here}/etc"))),
        ("climbing link", Tar::new().symlink("etc/passwd", "../../../../../../etc/passwd")),
        ("fifo", Tar::new().fifo("etc/passwd")),
        ("endless device", Tar::new().device(b'3', "etc/passwd", 1, 5)),
        ("directory", Tar::new().dir("etc/passwd")),
        ("32 MiB line", Tar::new().file("etc/passwd", &line())),
    ] {
        refused(what, image(tar, "web"));
    }
    let inside =
        Tar::new().file("data/passwd", b"web:x:7:8::/:\n").symlink("etc/passwd", "/data/passwd");
    let place = accepted("link inside", image(inside, "web"));
    assert_eq!(place.config()["process"]["user"]["uid"], 7);
}

#[test]
fn nulls_and_nothing() {
    let nulls = json!({
        "User": null, "ExposedPorts": null, "Env": null, "Entrypoint": null, "Cmd": ["x"],
        "Volumes": null, "WorkingDir": null, "Labels": null, "StopSignal": null,
    });
    let place = accepted("nulls", Image::new().config(move |c| c["config"] = nulls));
    assert_eq!(place.config()["process"]["cwd"], "/");

    let place = Place::new();
    let mut order = place.layout(Image::new().config(|c| {
        c.as_object_mut().unwrap().remove("config");
    }));
    order.config.words = vec!["sh".into()];
    place.run(&order).unwrap();
    assert_eq!(place.config()["process"]["args"], json!(["sh"]));
    refused("nothing to run", Image::new().config(|c| c["config"] = json!(null)));
}

#[test]
fn environment_and_annotations() {
    let image = with_users()
        .process("Env", json!(["HOME=/mine", "A=b=c", "EMPTY="]))
        .process("Labels", json!({ "org.opencontainers.image.os": "labelled", "own": "1" }))
        .process("StopSignal", json!("SIGINT"))
        .process("ExposedPorts", json!({ "80/tcp": {}, "443/tcp": {} }))
        .config(|c| {
            c["os.version"] = json!("1.2");
            c["os.features"] = json!(["x", "y"]);
            c["author"] = json!("somebody");
        });
    let place = accepted("image", image);
    let config = place.config();
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(config["process"]["env"], json!(["HOME=/mine", "A=b=c", "EMPTY=", path]));
    let annotation = |key: &str| &config["annotations"][key];
    assert_eq!(annotation("org.opencontainers.image.os"), "labelled");
    assert_eq!(annotation("own"), "1");
    assert_eq!(annotation("org.opencontainers.image.stopSignal"), "SIGINT");
    assert_eq!(annotation("org.opencontainers.image.exposedPorts"), "443/tcp,80/tcp");
    assert_eq!(annotation("org.opencontainers.image.os.version"), "1.2");
    assert_eq!(annotation("org.opencontainers.image.os.features"), "x,y");
    assert_eq!(annotation("org.opencontainers.image.author"), "somebody");

    let place = accepted("home", with_users().process("User", json!("web")));
    let env = place.config()["process"]["env"].clone();
    assert!(env.as_array().unwrap().contains(&json!("HOME=/srv")), "{env}");
}

#[test]
fn what_an_image_may_not_say() {
    for (what, key, value) in [
        ("env without =", "Env", json!(["A"])),
        ("env without name", "Env", json!(["=x"])),
        ("env with NUL", "Env", json!(["A=\0"])),
        ("relative cwd", "WorkingDir", json!("work")),
        ("climbing cwd", "WorkingDir", json!("/../..")),
        ("volume /", "Volumes", json!({ "/": {} })),
        ("volume ..", "Volumes", json!({ "/a/../../b": {} })),
        ("volume over proc", "Volumes", json!({ "/proc": {} })),
        ("relative volume", "Volumes", json!({ "data": {} })),
        ("word with NUL", "Cmd", json!(["a\0b"])),
        ("label with NUL", "Labels", json!({ "a": "\0" })),
    ] {
        refused(what, with_users().process(key, value));
    }
}

fn converted(image: Image, set: impl FnOnce(&mut Order)) -> (Place, Value) {
    let place = Place::new();
    let mut order = place.layout(image);
    set(&mut order);
    place.run(&order).unwrap();
    let config = place.config();
    (place, config)
}

#[test]
fn volumes() {
    let image = || {
        let tar = Tar::new()
            .mode(0o750)
            .owner(5, 6)
            .mtime(40)
            .dir("data")
            .mode(0o4755)
            .file("data/sub/program", b"x")
            .symlink("data/link", "/etc/shadow")
            .fifo("data/fifo");
        Image::new().layer(tar.finish()).process("Volumes", json!({ "/data": {}, "/none/": {} }))
    };
    let (place, config) = converted(image(), |_| {});
    let mounts = config["mounts"].as_array().unwrap();
    let last = &mounts[mounts.len() - 2..];
    assert_eq!(last[0]["destination"], "/data");
    assert_eq!(last[0]["source"], "volumes/0");
    assert_eq!(last[1]["destination"], "/none");
    let volume = crate::support::tree(&place.path("bundle/volumes/0"));
    assert_eq!(volume, crate::support::tree(&place.rootfs().join("data")));
    assert_eq!(volume.len(), 5);
    assert_eq!(crate::support::tree(&place.path("bundle/volumes/1")), [". dir 755 0:0 0"]);

    let (_, config) = converted(image(), |o| o.config.volumes = Volumes::Tmpfs);
    assert_eq!(config["mounts"].as_array().unwrap().last().unwrap()["type"], "tmpfs");
    let (place, config) = converted(image(), |o| o.config.volumes = Volumes::Ignore);
    assert_eq!(config["mounts"].as_array().unwrap().len(), mounts.len() - 2);
    assert!(!place.path("bundle/volumes").exists());
}

#[test]
fn profiles() {
    let (_, docker) = converted(Image::new(), |_| {});
    let caps = |config: &Value, set: &str| {
        config["process"]["capabilities"][set].as_array().unwrap().len()
    };
    assert_eq!([caps(&docker, "bounding"), caps(&docker, "effective")], [14, 14]);
    assert!(docker["process"]["capabilities"].get("inheritable").is_none());
    assert!(docker["process"]["capabilities"].get("ambient").is_none());
    assert_eq!(docker["process"]["noNewPrivileges"], false);
    assert_eq!(docker["linux"]["seccomp"]["defaultAction"], "SCMP_ACT_ERRNO");
    assert_eq!(docker["root"], json!({ "path": "rootfs", "readonly": false }));
    assert_eq!(docker["linux"]["namespaces"].as_array().unwrap().len(), 6);
    assert_eq!(
        docker["linux"]["resources"]["devices"][0],
        json!({ "allow": false, "access": "rwm" })
    );

    let (_, user) = converted(Image::new().process("User", json!("1000")), |_| {});
    assert_eq!(
        [caps(&user, "bounding"), caps(&user, "effective"), caps(&user, "permitted")],
        [14, 0, 0]
    );

    for profile in [Profile::Runc, Profile::Umoci] {
        let (_, config) = converted(Image::new(), |o| o.config.profile = profile);
        assert_eq!(caps(&config, "bounding"), 3);
        assert_eq!(config["process"]["noNewPrivileges"], true);
        assert!(config["linux"].get("seccomp").is_none());
        assert_eq!(config["process"]["rlimits"][0]["hard"], 1024);
    }
}

#[test]
fn options() {
    let (_, config) = converted(with_users(), |order| {
        let config = &mut order.config;
        config.user = Some("web".into());
        config.cwd = Some("/srv".into());
        config.entrypoint = Some(vec!["/init".into()]);
        config.words = vec!["one".into()];
        config.env = vec!["A=1".into()];
        config.tty = true;
        config.read_only = true;
        config.hostname = Some("name".into());
        config.cap_add = vec!["SYS_ADMIN".into()];
        config.cap_drop = vec!["MKNOD".into()];
        config.no_new_privileges = true;
        config.seccomp = Seccomp::None;
        config.annotations.insert("k".into(), "v".into());
        config.mounts.push(husk_bundle::config::tmpfs("/run").unwrap());
    });
    let process = &config["process"];
    assert_eq!(process["user"]["uid"], 101);
    assert_eq!(process["cwd"], "/srv");
    assert_eq!(process["args"], json!(["/init", "one"]));
    assert_eq!(process["terminal"], true);
    assert_eq!(process["noNewPrivileges"], true);
    let bounding = process["capabilities"]["bounding"].as_array().unwrap();
    assert!(bounding.contains(&json!("CAP_SYS_ADMIN")) && !bounding.contains(&json!("CAP_MKNOD")));
    assert_eq!(config["root"]["readonly"], true);
    assert_eq!(config["hostname"], "name");
    assert!(config["linux"].get("seccomp").is_none());
    assert_eq!(config["annotations"]["k"], "v");
    assert_eq!(config["mounts"].as_array().unwrap().last().unwrap()["destination"], "/run");
}

#[test]
fn id_maps_give_a_user_namespace() {
    use husk_bundle::extract::IdRange;
    let (_, config) = converted(Image::new(), |order| {
        let range = IdRange { container: 0, host: 100_000, count: 65_536 };
        order.rules.uids.0.push(range);
        order.rules.gids.0.push(range);
        order.config.uids.0.push(range);
        order.config.gids.0.push(range);
    });
    let mapping = json!([{ "containerID": 0, "hostID": 100_000, "size": 65_536 }]);
    assert_eq!(config["linux"]["uidMappings"], mapping);
    assert_eq!(config["linux"]["gidMappings"], mapping);
    assert!(config["linux"]["namespaces"].as_array().unwrap().contains(&json!({ "type": "user" })));
}

#[test]
fn an_independent_model_reads_it() {
    for profile in [Profile::Docker, Profile::Runc, Profile::Umoci] {
        let image =
            with_users().process("User", json!("web")).process("Volumes", json!({ "/data": {} }));
        let (place, _) = converted(image, |order| order.config.profile = profile);
        let spec = oci_spec::runtime::Spec::load(place.path("bundle/config.json")).unwrap();
        assert_eq!(spec.process().as_ref().unwrap().user().uid(), 101, "{profile:?}");
        assert!(spec.linux().as_ref().unwrap().namespaces().is_some());
    }
}
