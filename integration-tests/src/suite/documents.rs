//! `spec` and `features`: the documents that the runtime writes.

use std::fs;

use serde_json::{Value, json};

use crate::case::Done;
use crate::context::Context;
use crate::runtime::Call;
use crate::tests;

tests![
    spec_writes_a_config_that_runs,
    spec_refuses_to_overwrite,
    spec_has_the_usual_masks_and_no_inheritable_capabilities,
    spec_rootless_maps_the_caller,
    stricter f1_features_names_the_versions,
    stricter f2_features_names_hooks_and_mount_options,
    f3_features_names_namespaces_and_capabilities,
    f4_features_names_cgroup_managers,
    stricter f5_features_describes_seccomp,
    f6_features_names_security_modules,
    stricter f9_features_says_whether_mounts_can_be_idmapped,
    stricter f11_features_names_unsafe_annotations,
    features_does_not_depend_on_state,
];

fn spec(cx: &Context, options: &[&str]) -> Value {
    let dir = cx.fresh_dir("spec");
    Call::bare(cx).arg("spec").args(options).dir(&dir).run().ok();
    let text = fs::read_to_string(dir.join("config.json")).expect("config.json");
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn spec_writes_a_config_that_runs(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    Call::bare(cx).args(&["spec", "--bundle"]).arg(bundle.dir()).run().ok();
    let text = fs::read_to_string(bundle.dir().join("config.json")).expect("config.json");
    let cgroup = bundle.cgroup();
    bundle.config = serde_json::from_str(&text).expect("JSON");
    assert_eq!(bundle.config["root"]["path"], "rootfs");
    assert_eq!(bundle.config["process"]["args"], json!(["sh"]));
    bundle.set("/process/terminal", json!(false)).set("/linux/cgroupsPath", json!(cgroup));
    assert_eq!(cx.run_ok(&mut bundle, &["echo", "it runs"]), "it runs");
    Ok(())
}

fn spec_refuses_to_overwrite(cx: &Context) -> Done {
    let dir = cx.fresh_dir("spec");
    fs::write(dir.join("config.json"), "mine").expect("write");
    Call::bare(cx).arg("spec").dir(&dir).run().refused_with("config.json");
    assert_eq!(fs::read_to_string(dir.join("config.json")).expect("read"), "mine");
    Ok(())
}

fn spec_has_the_usual_masks_and_no_inheritable_capabilities(cx: &Context) -> Done {
    let config = spec(cx, &[]);
    let masked = config["linux"]["maskedPaths"].as_array().expect("maskedPaths");
    for path in ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"] {
        assert!(masked.contains(&json!(path)), "{path} is not masked");
    }
    let readonly = config["linux"]["readonlyPaths"].as_array().expect("readonlyPaths");
    assert!(
        readonly.contains(&json!("/proc/sys")) && readonly.contains(&json!("/proc/sysrq-trigger"))
    );
    let sets = &config["process"]["capabilities"];
    assert!(sets["inheritable"].as_array().is_none_or(Vec::is_empty), "{sets}");
    assert!(
        sets["ambient"].as_array().is_none_or(Vec::is_empty) || crate::host::is_peer(),
        "{sets}"
    );
    assert_eq!(config["process"]["noNewPrivileges"], true);
    Ok(())
}

fn spec_rootless_maps_the_caller(cx: &Context) -> Done {
    let config = spec(cx, &["--rootless"]);
    let expected = json!([{"containerID": 0, "hostID": 0, "size": 1}]);
    assert_eq!(config["linux"]["uidMappings"], expected);
    assert_eq!(config["linux"]["gidMappings"], expected);
    let types: Vec<&str> = config["linux"]["namespaces"]
        .as_array()
        .expect("namespaces")
        .iter()
        .filter_map(|n| n["type"].as_str())
        .collect();
    assert!(types.contains(&"user"), "{types:?}");
    let devpts = config["mounts"].as_array().unwrap().iter().find(|m| m["type"] == "devpts");
    let options = devpts.expect("devpts")["options"].to_string();
    assert!(!options.contains("gid=5"), "the group is not mapped: {options}");
    Ok(())
}

fn features(cx: &Context) -> Value {
    let out = Call::bare(cx).arg("features").run();
    let text = out.ok();
    assert_eq!(out.stderr, "");
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn has(list: &Value, words: &[&str]) {
    let list = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    for word in words {
        assert!(list.contains(&json!(word)), "{word} is missing: {list:?}");
    }
}

fn f1_features_names_the_versions(cx: &Context) -> Done {
    let document = features(cx);
    assert_eq!(document["ociVersionMin"], "1.0.0");
    let max = document["ociVersionMax"].as_str().expect("a version");
    assert!(max.starts_with("1.2") || max.starts_with("1.3"), "{max}");
    Ok(())
}

fn f2_features_names_hooks_and_mount_options(cx: &Context) -> Done {
    let document = features(cx);
    let hooks =
        ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
    has(&document["hooks"], &hooks);
    let options = &document["mountOptions"];
    has(
        options,
        &["bind", "rbind", "ro", "rro", "rprivate", "nosuid", "tmpcopyup", "idmap", "ridmap"],
    );
    has(options, &["iversion", "lazytime", "silent", "nosymfollow", "rnosymfollow", "norelatime"]);
    let list: Vec<&str> = options.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(list.is_sorted(), "sorted: {list:?}");
    Ok(())
}

fn f3_features_names_namespaces_and_capabilities(cx: &Context) -> Done {
    let document = features(cx);
    has(
        &document["linux"]["namespaces"],
        &["cgroup", "ipc", "mount", "network", "pid", "user", "uts"],
    );
    has(&document["linux"]["capabilities"], &["CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_BPF"]);
    Ok(())
}

fn f4_features_names_cgroup_managers(cx: &Context) -> Done {
    let cgroup = features(cx)["linux"]["cgroup"].clone();
    assert_eq!(cgroup["v1"], true, "{cgroup}");
    assert_eq!(cgroup["v2"], true, "{cgroup}");
    assert!(cgroup["systemd"].is_boolean(), "{cgroup}");
    Ok(())
}

fn f5_features_describes_seccomp(cx: &Context) -> Done {
    let seccomp = features(cx)["linux"]["seccomp"].clone();
    assert_eq!(seccomp["enabled"], true);
    has(
        &seccomp["actions"],
        &["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_LOG"],
    );
    has(&seccomp["operators"], &["SCMP_CMP_EQ", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_GE"]);
    has(
        &seccomp["archs"],
        &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64"],
    );
    has(&seccomp["knownFlags"], &["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]);
    Ok(())
}

fn f6_features_names_security_modules(cx: &Context) -> Done {
    let linux = features(cx)["linux"].clone();
    assert!(linux["apparmor"]["enabled"].is_boolean(), "{linux}");
    assert!(linux["selinux"]["enabled"].is_boolean(), "{linux}");
    Ok(())
}

fn f9_features_says_whether_mounts_can_be_idmapped(cx: &Context) -> Done {
    let document = features(cx);
    let idmap = &document["linux"]["mountExtensions"]["idmap"]["enabled"];
    assert!(idmap.is_boolean(), "{document}");
    Ok(())
}

fn f11_features_names_unsafe_annotations(cx: &Context) -> Done {
    let document = features(cx);
    assert!(document["potentiallyUnsafeConfigAnnotations"].is_array(), "{document}");
    assert!(document["annotations"].is_object(), "{document}");
    Ok(())
}

fn features_does_not_depend_on_state(cx: &Context) -> Done {
    let missing = cx.fresh_path("missing");
    Call::bare(cx).arg("--root").arg(&missing).arg("features").run().ok();
    assert!(!missing.exists(), "features makes no state root");
    Ok(())
}
