//! Names of torchvision for those of Keras' applications, in files for TensorFlow.js.

use crate::tensorflow::torch_name;

/// The convolutions of Inception v3 in the order in which Keras counts them: their modules, and each one's branches.
const INCEPTION: [(&str, &[&str]); 12] = [
    ("", &["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3"]),
    ("Mixed_5b.", AT_35),
    ("Mixed_5c.", AT_35),
    ("Mixed_5d.", AT_35),
    ("Mixed_6a.", &["branch3x3", "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"]),
    ("Mixed_6b.", AT_17),
    ("Mixed_6c.", AT_17),
    ("Mixed_6d.", AT_17),
    ("Mixed_6e.", AT_17),
    (
        "Mixed_7a.",
        &[
            "branch3x3_1",
            "branch3x3_2",
            "branch7x7x3_1",
            "branch7x7x3_2",
            "branch7x7x3_3",
            "branch7x7x3_4",
        ],
    ),
    ("Mixed_7b.", AT_8),
    ("Mixed_7c.", AT_8),
];

const AT_35: &[&str] = &[
    "branch1x1",
    "branch5x5_1",
    "branch5x5_2",
    "branch3x3dbl_1",
    "branch3x3dbl_2",
    "branch3x3dbl_3",
    "branch_pool",
];

const AT_17: &[&str] = &[
    "branch1x1",
    "branch7x7_1",
    "branch7x7_2",
    "branch7x7_3",
    "branch7x7dbl_1",
    "branch7x7dbl_2",
    "branch7x7dbl_3",
    "branch7x7dbl_4",
    "branch7x7dbl_5",
    "branch_pool",
];

const AT_8: &[&str] = &[
    "branch1x1",
    "branch3x3_1",
    "branch3x3_2a",
    "branch3x3_2b",
    "branch3x3dbl_1",
    "branch3x3dbl_2",
    "branch3x3dbl_3a",
    "branch3x3dbl_3b",
    "branch_pool",
];

/// The name of a weight of Inception v3 whose head has so many hidden layers.
pub(super) fn inception_v3(hidden: usize, name: &str) -> Option<String> {
    let (layer, _) = name.split_once('/')?;
    let part = torch_name(name).split_once('.')?.1.to_owned();
    if let Some(number) = layer.strip_prefix("dense_") {
        return Some(match head(hidden, number)? {
            Some(index) => format!("hidden.{index}.{part}"),
            None => format!("fc.{part}"),
        });
    }
    let (number, kind) = match layer.strip_prefix("conv2d_") {
        Some(number) => (number, "conv"),
        None => (layer.strip_prefix("batch_normalization_")?, "bn"),
    };
    let mut index = number.parse::<usize>().ok()?.checked_sub(1)?;
    for (module, convs) in INCEPTION {
        if let Some(conv) = convs.get(index) {
            return Some(format!("{module}{conv}.{kind}.{part}"));
        }
        index -= convs.len();
    }
    None
}

/// The name of a weight of MobileNet v2 whose head has so many hidden layers; `expands` says of each block whether it
/// begins with an expansion.
pub(super) fn mobilenet_v2(hidden: usize, expands: &[bool], name: &str) -> Option<String> {
    let (layer, _) = name.split_once('/')?;
    let part = torch_name(name).split_once('.')?.1.to_owned();
    let last = expands.len() + 1;
    let own = match layer {
        "Conv1" => "features.0.0".to_owned(),
        "bn_Conv1" => "features.0.1".to_owned(),
        "Conv_1" => format!("features.{last}.0"),
        "Conv_1_bn" => format!("features.{last}.1"),
        _ => match layer.strip_prefix("dense_") {
            // Dropout, the hidden layers with a ReLU after each, and the classes.
            Some(number) => {
                format!("classifier.{}", 1 + 2 * head(hidden, number)?.unwrap_or(hidden))
            }
            None => block(expands, layer)?,
        },
    };
    Some(format!("{own}.{part}"))
}

fn block(expands: &[bool], layer: &str) -> Option<String> {
    let (index, kind) = match layer.strip_prefix("expanded_conv_") {
        Some(kind) => (0, kind),
        None => {
            let (index, kind) = layer.strip_prefix("block_")?.split_once('_')?;
            (index.parse::<usize>().ok()?, kind)
        }
    };
    let depthwise = usize::from(*expands.get(index)?);
    let place = match kind {
        "expand" => "0.0".to_owned(),
        "expand_BN" => "0.1".to_owned(),
        "depthwise" => format!("{depthwise}.0"),
        "depthwise_BN" => format!("{depthwise}.1"),
        "project" => format!("{}", depthwise + 1),
        "project_BN" => format!("{}", depthwise + 2),
        _ => return None,
    };
    Some(format!("features.{}.conv.{place}", index + 1))
}

/// Which hidden layer of a head the one with this number, from one on, is; none for the last layer.
fn head(hidden: usize, number: &str) -> Option<Option<usize>> {
    let index = number.parse::<usize>().ok()?.checked_sub(1)?;
    (index <= hidden).then(|| (index < hidden).then_some(index))
}
