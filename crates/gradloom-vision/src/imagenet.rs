//! The names of ImageNet's classes, in the order of the logits of every published classifier.

/// The name of each of the 1000 classes. torchvision: `weights.meta["categories"]`.
///
/// ```
/// let names = gradloom_vision::imagenet_classes();
/// assert_eq!((names.len(), names[285], names[967]), (1000, "Egyptian cat", "espresso"));
/// ```
pub fn imagenet_classes() -> Vec<&'static str> {
    include_str!("imagenet.txt").lines().collect()
}
