//! Index, manifest and config.

use crate::support::{Place, accepted, refused};
use husk_bundle::document::Platform;
use husk_bundle::error::Kind;
use husk_bundle::testimage::{Files, Image, Tar, descriptor};
use serde_json::{Value, json};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn image() -> Image {
    Image::new().layer(Tar::new().file("a", b"x").finish())
}

fn put(files: &mut Files, media_type: &str, content: &Value) -> Value {
    let content = content.to_string().into_bytes();
    let descriptor = descriptor(media_type, &content);
    let hex = descriptor["digest"].as_str().unwrap()[7..].to_owned();
    files.insert(format!("blobs/sha256/{hex}"), content);
    descriptor
}

fn index_of(files: &Files) -> Value {
    serde_json::from_slice(&files["index.json"]).unwrap()
}

/// Wraps the index into `levels` further ones.
fn nested(levels: usize, copies: usize) -> Image {
    image().files(move |files| {
        let mut list = index_of(files)["manifests"].clone();
        for _ in 0..levels {
            let inner = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": list });
            let inner = put(files, INDEX, &inner);
            list = vec![inner; copies].into();
        }
        let outer = json!({ "schemaVersion": 2, "manifests": list });
        files.insert("index.json".into(), outer.to_string().into_bytes());
    })
}

#[test]
fn digests() {
    let hex = "0".repeat(64);
    for digest in [
        "sha256:../../../../etc/passwd".to_owned(),
        format!("sha256:{}", &hex[1..]),
        format!("sha256:{}", "A".repeat(64)),
        format!("md5:{}", &hex[..32]),
        String::new(),
        "sha256:".to_owned(),
    ] {
        for place in ["layers", "config"] {
            let (what, digest) = (format!("{place} {digest}"), digest.clone());
            refused(
                &what,
                image().manifest(move |m| {
                    let target =
                        if place == "config" { &mut m["config"] } else { &mut m["layers"][0] };
                    target["digest"] = json!(digest);
                }),
            );
        }
    }
}

#[test]
fn sha512() {
    use husk_bundle::digest::{Algorithm, Digest};
    let tar = Tar::new().file("a", b"x").finish();
    let digest = Digest::of(Algorithm::Sha512, &tar);
    let (text, hex) = (digest.to_string(), digest.hex().to_owned());
    let id = text.clone();
    let place = accepted(
        "sha512",
        Image::new()
            .layer(tar.clone())
            .config(move |c| {
                c["rootfs"]["diff_ids"] = json!([id]);
            })
            .manifest(move |m| m["layers"][0]["digest"] = json!(text))
            .files(move |files| {
                files.insert(format!("blobs/sha512/{hex}"), tar);
            }),
    );
    assert_eq!(place.tree().len(), 2);
}

#[test]
fn indexes_that_are_none() {
    for content in [
        "",
        "null",
        "[]",
        "{}",
        "garbage",
        "{\"schemaVersion\":2,\"manifests\":null}",
        "{\"schemaVersion\":2,\"manifests\":[{}]}",
        "{\"schemaVersion\":2,\"manifests\":{}}",
    ] {
        refused(
            content,
            image().files(move |files| {
                files.insert("index.json".into(), content.into());
            }),
        );
    }
    refused(
        "200 MB",
        image().files(|files| {
            files.insert("index.json".into(), vec![b' '; 200 << 20]);
        }),
    );
    refused(
        "one million deep",
        image().files(|files| {
            files.insert("index.json".into(), vec![b'['; 1_000_000]);
        }),
    );
    refused(
        "no index",
        image().files(|files| {
            files.remove("index.json");
        }),
    );
    refused(
        "no marker",
        image().files(|files| {
            files.remove("oci-layout");
        }),
    );
    refused(
        "other version",
        image().files(|files| {
            files.insert("oci-layout".into(), br#"{"imageLayoutVersion":"2.0.0"}"#.to_vec());
        }),
    );
}

#[test]
fn manifests_that_are_none() {
    type Change = fn(&mut Value);
    let rows: [(&str, Change); 11] = [
        ("manifest and index in one", |m| m["manifests"] = json!([])),
        ("inner type lies", |m| m["mediaType"] = json!(INDEX)),
        ("schema 1", |m| m["schemaVersion"] = json!(1)),
        ("schema 1 layers", |m| m["fsLayers"] = json!([])),
        ("artifact", |m| m["config"]["mediaType"] = json!("application/vnd.oci.empty.v1+json")),
        ("no config", |m| m["config"] = json!(null)),
        ("layers a number", |m| m["layers"] = json!(5)),
        ("config a list", |m| m["config"] = json!([])),
        ("encrypted layer", |m| {
            m["layers"][0]["mediaType"] =
                json!("application/vnd.oci.image.layer.v1.tar+gzip+encrypted");
        }),
        ("digest a number", |m| m["layers"][0]["digest"] = json!(5)),
        ("1001 layers", |m| m["layers"] = vec![m["layers"][0].clone(); 1001].into()),
    ];
    for (what, change) in rows {
        refused(what, image().manifest(change));
    }
    refused("config not JSON", image().config(|c| *c = json!("text")));
    refused("env not a list", image().config(|c| c["config"]["Env"] = json!("A=b")));
    refused(
        "schema 1 by type",
        image().index(|i| {
            i["manifests"][0]["mediaType"] =
                json!("application/vnd.docker.distribution.manifest.v1+prettyjws");
        }),
    );
}

#[test]
fn other_spellings_are_accepted() {
    accepted(
        "docker's types",
        image().manifest(|m| {
            m["mediaType"] = json!("application/vnd.docker.distribution.manifest.v2+json");
            m["config"]["mediaType"] = json!("application/vnd.docker.container.image.v1+json");
            m["layers"][0]["mediaType"] =
                json!("application/vnd.docker.image.rootfs.diff.tar.gzip");
        }),
    );
    accepted(
        "a layer that need not be there, but is",
        image().manifest(|m| {
            m["layers"][0]["mediaType"] =
                json!("application/vnd.oci.image.layer.nondistributable.v1.tar");
        }),
    );
    accepted(
        "inner type absent",
        image().manifest(|m| {
            m.as_object_mut().unwrap().remove("mediaType");
        }),
    );
    let message = refused(
        "a layer that is elsewhere",
        image()
            .manifest(|m| {
                m["layers"][0]["mediaType"] =
                    json!("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
                m["layers"][0]["urls"] = json!(["https://example.org/layer"]);
            })
            .files(|files| files.retain(|_, content| content.len() < 1024)),
    );
    assert!(message.contains("https://example.org/layer"), "{message}");
}

#[test]
fn embedded_content_is_used_and_verified() {
    let config =
        r#"{"os":"linux","config":{"Cmd":["x"]},"rootfs":{"type":"layers","diff_ids":[]}}"#;
    let encoded = "eyJvcyI6ImxpbnV4IiwiY29uZmlnIjp7IkNtZCI6WyJ4Il19LCJyb290ZnMiOnsidHlwZSI6ImxheWVycyIsImRpZmZfaWRzIjpbXX19";
    let with = move |data: &'static str| {
        Image::new().manifest(move |m| {
            m["config"] = descriptor("application/vnd.oci.image.config.v1+json", config.as_bytes());
            m["config"]["data"] = json!(data);
        })
    };
    let place = accepted("embedded", with(encoded));
    assert_eq!(place.config()["process"]["args"], json!(["x"]));
    refused("other content", with("e30="));
    refused("not base64", with("!"));
}

#[test]
fn nesting() {
    accepted("three levels", nested(3, 1));
    accepted("equal references", nested(3, 10));
    refused("twelve levels of ten", nested(12, 10));
    refused("2000 levels", nested(2000, 1));
    refused(
        "an index that names itself",
        image().files(|files| {
            let wrong = format!("sha256:{}", "1".repeat(64));
            let inner = json!({ "schemaVersion": 2, "manifests": [
                { "mediaType": INDEX, "digest": wrong, "size": 10 }
            ]});
            files
                .insert(format!("blobs/sha256/{}", "1".repeat(64)), inner.to_string().into_bytes());
            files.insert("index.json".into(), inner.to_string().into_bytes());
        }),
    );
}

/// An index with one image for each platform; each prints its own name.
fn for_platforms(list: &'static [(&'static str, &'static str, &'static str)]) -> Image {
    Image::new().files(move |files| {
        let mut manifests = Vec::new();
        for (os, architecture, variant) in list {
            let config = json!({
                "os": os, "architecture": architecture, "variant": variant,
                "config": { "Cmd": [format!("{os}/{architecture}/{variant}")] },
                "rootfs": { "type": "layers", "diff_ids": [] },
            });
            let config = put(files, "application/vnd.oci.image.config.v1+json", &config);
            let manifest = json!({ "schemaVersion": 2, "config": config, "layers": [] });
            let mut entry = put(files, MANIFEST, &manifest);
            entry["platform"] =
                json!({ "os": os, "architecture": architecture, "variant": variant });
            manifests.push(entry);
        }
        let index = json!({ "schemaVersion": 2, "manifests": manifests });
        files.insert("index.json".into(), index.to_string().into_bytes());
    })
}

#[test]
fn platforms() {
    const LIST: &[(&str, &str, &str)] = &[
        ("linux", "arm", "v6"),
        ("linux", "arm", "v7"),
        ("linux", "arm64", "v8"),
        ("linux", "amd64", ""),
        ("linux", "amd64", "v3"),
        ("windows", "amd64", ""),
        ("unknown", "unknown", ""),
    ];
    for (wanted, expected) in [
        ("linux/amd64", Some("linux/amd64/")),
        ("linux/amd64/v4", Some("linux/amd64/v3")),
        ("linux/amd64/v2", Some("linux/amd64/")),
        ("linux/arm64", Some("linux/arm64/v8")),
        ("linux/arm", Some("linux/arm/v7")),
        ("linux/arm/v6", Some("linux/arm/v6")),
        ("linux/s390x", None),
        ("unknown/unknown", None),
    ] {
        let place = Place::new();
        let mut order = place.layout(for_platforms(LIST));
        order.choice.platform = Some(Platform::parse(wanted).unwrap());
        match (place.run(&order), expected) {
            (Ok(_), Some(expected)) => {
                assert_eq!(place.config()["process"]["args"], json!([expected]), "{wanted}");
            }
            (Err(error), None) => {
                assert_eq!(error.kind(), Kind::NotFound, "{wanted}: {error}");
                assert!(error.to_string().contains("linux/arm64/v8"), "{error}");
            }
            (outcome, _) => panic!("{wanted}: {outcome:?}"),
        }
    }
}

#[test]
fn names_choose() {
    let two = || {
        image()
            .index(|index| {
                let mut one = index["manifests"][0].clone();
                one["annotations"] = json!({ "org.opencontainers.image.ref.name": "one" });
                let mut two = one.clone();
                two["annotations"] = json!({
                    "io.containerd.image.name": "docker.io/library/app:two",
                    "org.opencontainers.image.ref.name": "2",
                });
                index["manifests"] = json!([one, two]);
            })
            .files(|files| {
                // Another image under the second name.
                let config = json!({ "os": "linux", "config": { "Cmd": ["second"] },
                                 "rootfs": { "type": "layers", "diff_ids": [] } });
                let config = put(files, "application/vnd.oci.image.config.v1+json", &config);
                let manifest = json!({ "schemaVersion": 2, "config": config, "layers": [] });
                let entry = put(files, MANIFEST, &manifest);
                let mut index = index_of(files);
                index["manifests"][1]["digest"] = entry["digest"].clone();
                index["manifests"][1]["size"] = entry["size"].clone();
                files.insert("index.json".into(), index.to_string().into_bytes());
            })
    };
    for (reference, expected) in [
        (":one", Some("true")),
        (":2", Some("second")),
        (":two", Some("second")),
        (":app:two", Some("second")),
        (":docker.io/library/app:two", Some("second")),
        ("@0", Some("true")),
        ("@1", Some("second")),
        ("@2", None),
        (":three", None),
        ("", None),
    ] {
        let place = Place::new();
        let image = place.path("image");
        two().write_layout(&image);
        let outcome = place.run(&place.order(&format!("oci:{}{reference}", image.display())));
        match (outcome, expected) {
            (Ok(_), Some(expected)) => {
                assert_eq!(place.config()["process"]["args"], json!([expected]), "{reference}");
            }
            (Err(error), None) => {
                assert_eq!(error.kind(), Kind::NotFound, "{reference}: {error}");
                assert!(error.to_string().contains("'one'"), "{error}");
            }
            (outcome, _) => panic!("{reference}: {outcome:?}"),
        }
    }
}
