//! What detectors do with odd and wrong input: boxes, labels, pictures, weights; and that what is drawn comes from the
//! key alone.

mod support;

use gradloom_nn::{Context, Init, LoadOptions, ModuleExt, Parameter, gradients};
use gradloom_tensor::{DType, Device, Key, Shape, Tensor, eval};
use gradloom_vision::detection::{
    BackboneConfig, BalancedSampler, Detector, ExtraLevels, FasterRcnn, FasterRcnnConfig, Match,
    Matcher, ObjectBoxes, PictureSize, PictureTransform, Rescue, RetinaNet, RetinaNetConfig, Ssd,
    SsdConfig,
};
use gradloom_vision::{Classifier, ResNet, ResNetConfig};
use support::filled;

fn backbone(first_stage: usize, extra: ExtraLevels) -> BackboneConfig {
    let body = ResNetConfig { width: 4, ..ResNetConfig::new(false, [1; 4]) };
    let body = ResNetConfig { frozen_norms: true, ..body };
    let config = BackboneConfig::resnet50(first_stage, extra);
    BackboneConfig { body, channels: 8, trainable_layers: 5, ..config }
}

fn retinanet_config() -> RetinaNetConfig {
    let config = RetinaNetConfig::resnet50_fpn().classes(3).size(64, 96);
    RetinaNetConfig { backbone: backbone(1, ExtraLevels::P6P7), head_depth: 1, ..config }
}

fn faster_rcnn_config() -> FasterRcnnConfig {
    let mut config = FasterRcnnConfig::resnet50_fpn().classes(3).size(64, 96);
    config.backbone = backbone(0, ExtraLevels::Pool);
    config.proposals.proposals_max = [40, 20];
    config.regions.hidden = 8;
    config
}

fn ssd_config() -> SsdConfig {
    let stages = [vec![4], vec![4], vec![4], vec![8], vec![8]];
    SsdConfig { stages, ..SsdConfig::ssd300_vgg16().classes(3) }
}

fn made<M: Detector>(config: &M::Config, device: &Device) -> M {
    M::new(config, &mut Init::new(Key::new(3), device)).unwrap()
}

fn picture(name: &str, height: usize, width: usize, device: &Device) -> Tensor {
    filled(name, &Shape::new(&[3, height, width]), 0.5, 0.5, device)
}

fn objects(boxes: &[[f32; 4]], label: usize) -> ObjectBoxes {
    ObjectBoxes { boxes: boxes.to_vec(), labels: vec![label; boxes.len()] }
}

/// Trains a step and detects: everything must be finite, and boxes inside of their pictures.
#[track_caller]
fn works<M: Detector>(model: &M, pictures: &[Tensor], objects: &[ObjectBoxes]) {
    let losses = model.losses(pictures, objects, &mut Context::train(Key::new(0))).unwrap();
    let gradients = gradients(losses.total(), model);
    eval(losses.iter().map(|(_, loss)| loss).chain(gradients.iter().map(|(_, g)| g))).unwrap();
    for (name, loss) in losses.iter() {
        let loss = loss.item().unwrap();
        assert!(loss.is_finite() && loss >= 0.0, "{name} is {loss}");
    }
    assert!(gradients.norm().item().unwrap().is_finite());
    for (picture, found) in pictures.iter().zip(model.detect(pictures).unwrap()) {
        let (height, width) = (picture.size(1) as f32, picture.size(2) as f32);
        for [left, top, right, bottom] in found.boxes {
            assert!(0.0 <= left && left <= right && right <= width * 1.0001);
            assert!(0.0 <= top && top <= bottom && bottom <= height * 1.0001);
        }
        assert!(found.scores.windows(2).all(|pair| pair[0] >= pair[1]));
    }
}

#[track_caller]
fn odd_pictures<M: Detector>(config: &M::Config) {
    let device = gradloom_cpu::device();
    let model = made::<M>(config, &device);
    // No objects in a picture, and in no picture.
    let two = [picture("a", 40, 64, &device), picture("b", 64, 50, &device)];
    works(&model, &two, &[objects(&[[4.0, 4.0, 30.0, 38.0]], 1), ObjectBoxes::default()]);
    works(&model, &two, &[ObjectBoxes::default(), ObjectBoxes::default()]);
    // One pixel; very wide; a box that reaches beyond the picture, and one smaller than a pixel.
    let odd = [picture("c", 1, 1, &device), picture("d", 1, 700, &device)];
    let beyond = [[-20.0, -1.0, 350.0, 9.0], [600.2, 0.1, 600.3, 0.2]];
    works(&model, &odd, &[objects(&[[0.0, 0.0, 1.0, 1.0]], 2), objects(&beyond, 1)]);
}

#[test]
fn retinanet_takes_odd_pictures() {
    odd_pictures::<RetinaNet>(&retinanet_config());
    let v2 = RetinaNetConfig::resnet50_fpn_v2().classes(3).size(64, 96);
    let backbone = backbone(1, ExtraLevels::P6P7OfStage);
    odd_pictures::<RetinaNet>(&RetinaNetConfig { backbone, head_groups: 2, head_depth: 1, ..v2 });
}

#[test]
fn faster_rcnn_takes_odd_pictures() {
    odd_pictures::<FasterRcnn>(&faster_rcnn_config());
}

#[test]
fn ssd_takes_odd_pictures() {
    odd_pictures::<Ssd>(&ssd_config());
}

#[track_caller]
fn refuses<M: Detector>(config: &M::Config, label_max: usize, family: &str) {
    let device = gradloom_cpu::device();
    let model = made::<M>(config, &device);
    let pictures = [picture("a", 40, 64, &device)];
    let message = |pictures: &[Tensor], objects: &[ObjectBoxes]| {
        let failed = model.losses(pictures, objects, &mut Context::train(Key::new(0)));
        let message = failed.map(|_| ()).unwrap_err().to_string();
        assert!(message.starts_with(family), "{message}");
        message
    };
    for (bounds, part) in [
        ([f32::NAN, 0.0, 9.0, 9.0], "not finite"),
        ([0.0, 0.0, f32::INFINITY, 9.0], "not finite"),
        ([9.0, 3.0, 5.0, 8.0], "no area"),
        ([5.0, 3.0, 5.0, 8.0], "no area"),
        ([64.0, 0.0, 70.0, 8.0], "outside of the 40 x 64 pixels"),
        ([0.0, -9.0, 5.0, 0.0], "outside of the 40 x 64 pixels"),
    ] {
        let message = message(&pictures, &[objects(&[[1.0, 1.0, 9.0, 9.0], bounds], 1)]);
        assert!(message.contains("box 1 is") && message.contains(part), "{message}");
    }
    let one = [[1.0, 1.0, 9.0, 9.0]];
    assert!(message(&pictures, &[objects(&one, label_max + 1)]).contains("label 0 is"));
    let unequal = ObjectBoxes { boxes: one.to_vec(), labels: vec![1, 2] };
    assert!(message(&pictures, &[unequal]).contains("1 boxes, 2 labels"));
    assert!(message(&pictures, &[]).contains("objects of 0 pictures for 1"));
    assert!(message(&[], &[]).contains("no pictures"));
    let grey = Tensor::zeros([1, 8, 8], DType::F32, &device);
    assert!(message(&[grey], &[objects(&one, 1)]).contains("give [3, H, W]"));
    let bytes = Tensor::zeros([3, 8, 8], DType::U8, &device);
    assert!(message(&[bytes], &[objects(&one, 1)]).contains("of floats"));
    let empty = Tensor::zeros([3, 0, 8], DType::F32, &device);
    assert!(message(&[empty], &[objects(&one, 1)]).contains("picture 0 is"));
    let pictures = [Tensor::full([3, 40, 64], f64::NAN, DType::F32, &device)];
    let message = model.detect(&pictures).unwrap_err().to_string();
    assert!(message.contains("not finite; look for NaN"), "{message}");
}

#[test]
fn wrong_objects_and_pictures_are_refused() {
    refuses::<RetinaNet>(&retinanet_config(), 2, "retinanet");
    refuses::<FasterRcnn>(&faster_rcnn_config(), 2, "faster_rcnn");
    refuses::<Ssd>(&ssd_config(), 2, "ssd");
    let device = gradloom_cpu::device();
    let model = made::<Ssd>(&ssd_config(), &device);
    let background = model.losses(
        &[picture("a", 40, 64, &device)],
        &[objects(&[[1.0, 1.0, 9.0, 9.0]], 0)],
        &mut Context::train(Key::new(0)),
    );
    assert!(background.unwrap_err().to_string().contains("labels are 1..3"));
}

#[test]
fn wrong_configurations_are_refused() {
    let device = gradloom_cpu::device();
    let init = &mut Init::new(Key::new(0), &device);
    let mut config = retinanet_config();
    config.anchor_sizes.pop();
    let message = RetinaNet::new(&config, init).unwrap_err().to_string();
    assert!(message.contains("anchors of 4 levels for a pyramid of 5"), "{message}");
    assert!(RetinaNet::new(&retinanet_config().classes(0), init).is_err());
    let mut config = retinanet_config();
    config.anchor_sizes[1].pop();
    assert!(RetinaNet::new(&config, init).unwrap_err().to_string().contains("one head serves all"));
    assert!(FasterRcnn::new(&faster_rcnn_config().classes(1), init).is_err());
    let mut config = faster_rcnn_config();
    config.backbone.first_stage = 1;
    assert!(FasterRcnn::new(&config, init).is_err());
    let mut config = ssd_config();
    config.anchors.scales.pop();
    assert!(Ssd::new(&config, init).unwrap_err().to_string().starts_with("default_boxes"));
    let mut config = ssd_config();
    let mut sized = |side: usize| {
        config.transform.size = PictureSize::Exactly([side, 300]);
        made::<Ssd>(&config, &device).detect(&[picture("a", 40, 64, &device)])
    };
    assert!(sized(267).unwrap_err().to_string().contains("need 268 pixels"));
    assert!(sized(268).is_ok());
    let mut config = retinanet_config();
    (config.backbone.first_stage, config.anchor_sizes) = (4, vec![]);
    assert!(RetinaNet::new(&config, init).is_err());
}

#[test]
fn weights_of_another_variant_are_refused_by_name() {
    let device = gradloom_cpu::device();
    let own = made::<RetinaNet>(&retinanet_config(), &device);
    let message = |config: &RetinaNetConfig| {
        let failed = RetinaNet::from_weights(config, &own.state_dict(), &device);
        failed.map(|_| ()).unwrap_err().to_string()
    };
    let classes = message(&retinanet_config().classes(4));
    assert!(classes.starts_with("loading retinanet"), "{classes}");
    assert!(classes.contains("head.classification_head.cls_logits"), "{classes}");
    let deeper = message(&RetinaNetConfig { head_depth: 2, ..retinanet_config() });
    assert!(deeper.contains("head.classification_head.conv.1.0"), "{deeper}");
    let faster = FasterRcnn::from_weights(&faster_rcnn_config(), &own.state_dict(), &device);
    assert!(faster.is_err());
}

#[test]
fn names_of_older_files_are_known() {
    let renamed = |name: &str| RetinaNet::rename(name).unwrap();
    assert_eq!(renamed("head.regression_head.conv.6.bias"), "head.regression_head.conv.3.0.bias");
    assert_eq!(
        renamed("backbone.fpn.inner_blocks.2.weight"),
        "backbone.fpn.inner_blocks.2.0.weight"
    );
    for name in ["head.classification_head.conv.3.0.weight", "backbone.fpn.layer_blocks.0.0.bias"] {
        assert_eq!(renamed(name), name);
    }
    assert_eq!(FasterRcnn::rename("rpn.head.conv.weight").unwrap(), "rpn.head.conv.0.0.weight");
    assert_eq!(FasterRcnn::rename("rpn.head.conv.0.0.bias").unwrap(), "rpn.head.conv.0.0.bias");
    assert_eq!(FasterRcnn::rename("backbone.body.bn1.num_batches_tracked"), None);
}

#[test]
fn frozen_norms_and_layers_learn_nothing() {
    let device = gradloom_cpu::device();
    let config = RetinaNetConfig {
        backbone: BackboneConfig { trainable_layers: 3, ..backbone(1, ExtraLevels::P6P7) },
        ..retinanet_config()
    };
    let mut model = made::<RetinaNet>(&config, &device);
    let learns = |name: &str| model.parameter(name).unwrap().is_trainable();
    assert!(
        learns("backbone.body.layer2.0.conv1.weight")
            && learns("backbone.fpn.extra_blocks.p6.bias")
    );
    for frozen in ["conv1.weight", "layer1.0.conv2.weight", "bn1.weight", "layer4.0.bn2.bias"] {
        assert!(!learns(&format!("backbone.body.{frozen}")), "{frozen}");
    }
    let x = picture("a", 64, 64, &device).unsqueeze(0);
    let mut ctx = Context::train(Key::new(0));
    let training = model.backbone.forward(&x, &mut ctx);
    let usual = model.backbone.forward(&x, &mut Context::eval());
    for (training, usual) in training.iter().zip(&usual) {
        assert_eq!(training.to_vec::<f32>().unwrap(), usual.to_vec::<f32>().unwrap());
    }
    assert_eq!(ctx.apply_updates(&mut model), 0);
    // Norms that are not frozen learn, and use the batch.
    let mut config = config;
    config.backbone.body.frozen_norms = false;
    let model = made::<RetinaNet>(&config, &device);
    assert!(model.parameter("backbone.body.layer4.0.bn2.bias").unwrap().is_trainable());
    let training = model.backbone.forward(&x, &mut Context::train(Key::new(0)));
    let usual = model.backbone.forward(&x, &mut Context::eval());
    assert_ne!(training[0].to_vec::<f32>().unwrap(), usual[0].to_vec::<f32>().unwrap());
}

#[test]
fn weights_of_a_classifier_fit_the_backbone() {
    let device = gradloom_cpu::device();
    let classifier = ResNetConfig { width: 4, ..ResNetConfig::new(false, [1; 4]) };
    let classifier = ResNet::new(&classifier, &mut Init::new(Key::new(8), &device)).unwrap();
    let mut model = made::<RetinaNet>(&retinanet_config(), &device);
    let weights = classifier.backbone.state_dict();
    model.backbone.body.load_state_dict(&weights, &LoadOptions::strict()).unwrap();
    let values = |weight: Option<&Parameter>| weight.unwrap().to_vec::<f32>().unwrap();
    let body = values(model.parameter("backbone.body.layer3.0.conv1.weight"));
    assert_eq!(body, values(classifier.parameter("layer3.0.conv1.weight")));
}

#[test]
fn a_new_head_has_other_classes() {
    let device = gradloom_cpu::device();
    let init = &mut Init::new(Key::new(5), &device);
    let (pictures, boxes) = ([picture("a", 64, 64, &device)], [[4.0, 4.0, 40.0, 50.0]]);
    let mut model = made::<RetinaNet>(&retinanet_config(), &device);
    model.replace_head(6, init).unwrap();
    works(&model, &pictures, &[objects(&boxes, 5)]);
    let mut model = made::<FasterRcnn>(&faster_rcnn_config(), &device);
    model.replace_head(6, init).unwrap();
    works(&model, &pictures, &[objects(&boxes, 5)]);
    let mut model = made::<Ssd>(&ssd_config(), &device);
    model.replace_head(6, init).unwrap();
    works(&model, &pictures, &[objects(&boxes, 5)]);
    assert!(model.replace_head(1, init).is_err());
}

#[test]
fn equal_keys_draw_the_same_bits() {
    let device = gradloom_cpu::device();
    let mut config = faster_rcnn_config();
    (config.proposals.sampler.count, config.regions.sampler.count) = (16, 8);
    let model = made::<FasterRcnn>(&config, &device);
    let pictures = [picture("a", 64, 64, &device)];
    let objects = [objects(&[[4.0, 4.0, 40.0, 50.0], [20.0, 30.0, 60.0, 60.0]], 1)];
    let total = |seed: u64| {
        let ctx = &mut Context::train(Key::new(seed));
        let losses = model.losses(&pictures, &objects, ctx).unwrap();
        losses.total().to_vec::<f32>().unwrap()[0].to_bits()
    };
    assert_eq!(total(1), total(1));
    assert_ne!(total(1), total(2));
}

#[test]
fn samplers_draw_a_share_of_objects() {
    let matches: Vec<Match> = (0..100)
        .map(|place| match place % 4 {
            0 => Match::Object(0),
            1 => Match::Between,
            _ => Match::Background,
        })
        .collect();
    let sampler = BalancedSampler { count: 20, object_share: 0.25 };
    let sample = sampler.sample(&matches, Key::new(1));
    assert_eq!((sample.objects.len(), sample.background.len()), (5, 15));
    assert!(sample.objects.iter().all(|place| place % 4 == 0));
    assert!(sample.background.iter().all(|place| place % 4 > 1));
    assert!(sample.all().is_sorted_by(|a, b| a < b));
    assert_ne!(sample, sampler.sample(&matches, Key::new(2)));
    let all = BalancedSampler { count: 1000, object_share: 0.5 }.sample(&matches, Key::new(1));
    assert_eq!((all.objects.len(), all.background.len()), (25, 50));
    // What objects do not fill is background.
    let few = sampler.sample(&matches[..4], Key::new(1));
    assert_eq!((few.objects, few.background), (vec![0], vec![2, 3]));
}

#[test]
fn matchers_rescue_objects() {
    let anchors = [
        [0.0, 0.0, 10.0, 10.0],
        [0.0, 0.0, 10.0, 4.0],
        [20.0, 0.0, 30.0, 10.0],
        [30.0, 0.0, 40.0, 10.0],
        [90.0, 90.0, 95.0, 95.0],
    ];
    // The first anchor is the first object; two anchors overlap the second by a third each; nothing touches the third.
    let objects = [[0.0, 0.0, 10.0, 9.0], [25.0, 0.0, 35.0, 10.0], [60.0, 60.0, 70.0, 70.0]];
    let matches = |rescue| {
        Matcher { object_min: 0.7, background_max: 0.4, rescue }.matches(&objects, &anchors)
    };
    let (one, between, none) = (Match::Object(0), Match::Between, Match::Background);
    let two = Match::Object(1);
    assert_eq!(matches(Rescue::Never), [one, between, none, none, none]);
    assert_eq!(matches(Rescue::Anchors), [one, between, two, two, none]);
    assert_eq!(matches(Rescue::Object), [one, between, two, none, none]);
    let nothing = Matcher { object_min: 0.7, background_max: 0.4, rescue: Rescue::Anchors };
    assert_eq!(nothing.matches(&[], &anchors), [none; 5]);
}

#[test]
fn pictures_of_several_sizes_become_a_batch() {
    let device = gradloom_cpu::device();
    let transform = PictureTransform::new(PictureSize::Within { shorter: 40, longer: 60 });
    let pictures = [picture("a", 20, 25, &device), picture("b", 10, 30, &device)];
    let batch = transform.batch("test", &pictures).unwrap();
    assert_eq!(batch.sizes, [[40, 50], [20, 60]]);
    assert_eq!(batch.size(), [64, 64]);
    assert_eq!(batch.to_batch(0, &[[1.0, 2.0, 3.0, 4.0]]), [[2.0, 4.0, 6.0, 8.0]]);
    assert_eq!(batch.to_picture(1, &[[2.0, 4.0, 6.0, 8.0]]), [[1.0, 2.0, 3.0, 4.0]]);
    let padding = batch.pictures.narrow(2, 40, 24).abs().max(..).item().unwrap();
    assert_eq!(padding, 0.0);
}
