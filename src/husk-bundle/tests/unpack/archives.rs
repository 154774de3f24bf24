//! Images in a single file.

use crate::support::{Place, names};
use husk_bundle::error::Kind;
use husk_bundle::testimage::{Image, Packing, Tar};
use serde_json::{Value, json};

type Members = Vec<(String, Vec<u8>)>;

fn image() -> Image {
    let layer = |name: &str| Tar::new().file(name, b"x").finish();
    Image::new().name("app:1").layer(layer("one")).packed_layer(layer("two"), Packing::Gzip)
}

fn unpacked(form: &str, content: &[u8]) -> Result<Vec<String>, husk_bundle::error::Error> {
    let place = Place::new();
    place.run(&place.file(form, content))?;
    Ok(names(&place.tree()[1..]))
}

fn with_reference(form: &str, content: &[u8], reference: &str) -> Result<(), Kind> {
    let place = Place::new();
    let mut order = place.file(form, content);
    let words = format!("{form}{}{reference}", place.path("image").display());
    order.choice.image = husk_bundle::reference::ImageName::parse(&words).unwrap();
    place.run(&order).map(drop).map_err(|error| error.kind())
}

#[test]
fn layouts_in_an_archive() {
    let archive = image().oci_archive();
    // Any order: the documents last, or first.
    let reversed = image().build().into_iter().rev();
    let reversed = reversed.fold(Tar::new(), |tar, (name, c)| tar.file(format!("./{name}"), &c));
    for (what, content) in [
        ("plain", archive.clone()),
        ("reversed", reversed.finish()),
        ("gzip", Packing::Gzip.pack(&archive)),
        ("zstd", Packing::Zstd.pack(&archive)),
    ] {
        for form in ["oci-archive:", "docker-archive:", ""] {
            let tree = unpacked(form, &content).unwrap_or_else(|e| panic!("{what} {form}: {e}"));
            assert_eq!(tree, ["one", "two"], "{what} {form}");
        }
    }
    for (reference, expected) in
        [(":app:1", Ok(())), (":1", Ok(())), (":other", Err(Kind::NotFound)), ("@0", Ok(()))]
    {
        assert_eq!(with_reference("oci-archive:", &archive, reference), expected, "{reference}");
    }
}

#[test]
fn the_older_form_of_docker_save() {
    let plain = image().docker_archive(|_| {});
    for (what, content) in [("plain", plain.clone()), ("gzip", Packing::Gzip.pack(&plain))] {
        for form in ["docker-archive:", ""] {
            assert_eq!(unpacked(form, &content).unwrap(), ["one", "two"], "{what} {form}");
        }
    }
    for (reference, expected) in [
        (":app:1", Ok(())),
        (":docker.io/library/app:1", Ok(())),
        (":app:2", Err(Kind::NotFound)),
        ("@0", Ok(())),
        ("@1", Err(Kind::NotFound)),
    ] {
        assert_eq!(with_reference("docker-archive:", &plain, reference), expected, "{reference}");
    }
    let linked = image().docker_archive(|members| {
        // The first layer is kept elsewhere, as docker did for layers in common.
        let layer = members.remove(1).1;
        members.push(("0/layer.tar -> ../shared/layer.tar".into(), Vec::new()));
        members.insert(0, ("shared/layer.tar".into(), layer));
    });
    assert_eq!(unpacked("docker-archive:", &linked).unwrap(), ["one", "two"]);
    let noisy = image().docker_archive(|members| {
        members.push(("/etc/passwd".into(), b"hostile".to_vec()));
        members.push(("repositories".into(), b"{".to_vec()));
    });
    assert_eq!(unpacked("docker-archive:", &noisy).unwrap(), ["one", "two"]);
}

fn manifest(members: &mut Members, change: impl FnOnce(&mut Value)) {
    let content = &mut members.iter_mut().find(|(name, _)| name == "manifest.json").unwrap().1;
    let mut document = serde_json::from_slice(content).unwrap();
    change(&mut document);
    *content = document.to_string().into_bytes();
}

#[test]
fn archives_that_are_refused() {
    type Change = fn(&mut Members);
    let rows: [(&str, Change); 11] = [
        ("layer path climbs", |m| manifest(m, |d| d[0]["Layers"][0] = json!("../../etc/passwd"))),
        ("layer missing", |m| manifest(m, |d| d[0]["Layers"][0] = json!("none/layer.tar"))),
        ("layer is a link outside", |m| {
            m.retain(|(name, _)| name != "0/layer.tar");
            m.push(("0/layer.tar -> ../../../etc/passwd".into(), Vec::new()));
        }),
        ("layer is an absolute link", |m| {
            m.retain(|(name, _)| name != "0/layer.tar");
            m.push(("0/layer.tar -> /etc/passwd".into(), Vec::new()));
        }),
        ("layer is a link loop", |m| {
            m.retain(|(name, _)| name != "0/layer.tar");
            m.push(("0/layer.tar -> ../1/loop".into(), Vec::new()));
            m.push(("1/loop -> ../0/layer.tar".into(), Vec::new()));
        }),
        ("layers swapped", |m| {
            manifest(m, |d| {
                let layers = d[0]["Layers"].as_array_mut().unwrap();
                layers.reverse();
            })
        }),
        ("layer left out", |m| manifest(m, |d| drop(d[0]["Layers"].as_array_mut().unwrap().pop()))),
        ("no manifest", |m| m.retain(|(name, _)| name != "manifest.json")),
        ("config changed", |m| m[0].1.push(b' ')),
        ("config missing", |m| drop(m.remove(0))),
        ("manifest garbage", |m| manifest(m, |d| *d = json!({ "x": 1 }))),
    ];
    for (what, change) in rows {
        let content = image().docker_archive(change);
        match unpacked("docker-archive:", &content) {
            Ok(tree) => panic!("{what}: accepted with {tree:?}"),
            Err(error) => assert_eq!(error.kind(), Kind::Refused, "{what}: {error}"),
        }
    }
    let two = image().docker_archive(|m| {
        manifest(m, |d| {
            let again = d[0].clone();
            d.as_array_mut().unwrap().push(again);
        })
    });
    let error = unpacked("docker-archive:", &two).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(error.to_string().contains("'app:1'"), "{error}");
    let whole = image().docker_archive(|_| {});
    for cut in [100, 700, whole.len() / 2, whole.len() - 1500] {
        assert!(unpacked("docker-archive:", &whole[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn plain_root_file_systems() {
    let tar = Tar::new().dir("bin").file("bin/sh", b"x").finish();
    for content in [tar.clone(), Packing::Gzip.pack(&tar), Packing::Zstd.pack(&tar)] {
        for form in ["tar:", ""] {
            let place = Place::new();
            let mut order = place.file(form, &content);
            assert!(place.run(&order).is_err(), "it does not say what to run");
            order.config.words = vec!["/bin/sh".into()];
            place.run(&order).unwrap();
            assert_eq!(names(&place.tree()[1..]), ["bin/", "bin/sh"]);
        }
    }
}
