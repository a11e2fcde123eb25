//! Self-tests of real drivers find nothing; of drivers that are made to compute wrongly, just that.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use gradloom_shaders::permutations;
use gradloom_tensor::{DType, Device, Tensor};

use super::case::Outcome;
use super::report::{Examined, Finding, Remedy};
use super::{cases, tested};
use crate::adapter::raw_adapters;
use crate::backend::WgpuBackend;
use crate::codegen::unit::Fault;
use crate::codegen::variant::{Variant, Verdict};
use crate::gpu::Gpu;
use crate::wait::finish;

/// Every Vulkan adapter, opened.
fn opened() -> Vec<(Arc<Gpu>, wgpu::Adapter)> {
    let adapters = raw_adapters().into_iter().filter(|(info, _)| info.backend == "vulkan");
    let opened: Vec<(Arc<Gpu>, wgpu::Adapter)> = adapters
        .map(|(info, adapter)| (Arc::new(finish(Gpu::open(&adapter, info)).unwrap()), adapter))
        .collect();
    if opened.is_empty() {
        let required = std::env::var("GRADLOOM_REQUIRE_GPU").is_ok_and(|value| value == "1");
        assert!(!required, "GRADLOOM_REQUIRE_GPU=1, but there is no Vulkan adapter");
        eprintln!("SKIPPED: no Vulkan adapter on this machine");
    }
    opened
}

fn fault(change: impl Fn(&Variant, String) -> String + Send + Sync + 'static) -> Option<Fault> {
    Some(Fault(Arc::new(change)))
}

/// A device as it is after its self-test found these things, whose driver still has the fault.
fn device_of(examined: Examined, fault: Option<Fault>) -> Device {
    let backend = WgpuBackend::new(examined);
    backend.examine(fault);
    Device::new(Arc::new(backend))
}

/// A product that shows where each element of an operand went.
fn check_product(device: &Device) {
    let unit = Tensor::arange(64, device).reshape([64, 1]).eq(Tensor::arange(64, device));
    let x = Tensor::arange(64 * 64, device).cast(DType::F32).reshape([64, 64]);
    let product = unit.cast(DType::F32).matmul(&x);
    assert_eq!(product.to_vec::<f32>().unwrap(), x.to_vec::<f32>().unwrap());
}

/// One pass over the cases on each adapter: nothing is wrong, and no form of a template was left out.
#[test]
fn adapters_pass_in_every_form_of_every_template() {
    for (gpu, _) in opened() {
        let (info, verdict) = (gpu.info.clone(), Verdict::default());
        let device = device_of(Examined { gpu, verdict, report: None }, None);
        let (mut seen, mut wrong, mut unsupported) = (BTreeSet::new(), Vec::new(), Vec::new());
        let begin = Instant::now();
        for case in cases::all() {
            match case.run(&device) {
                Outcome::Right(variants) => seen.extend(variants),
                Outcome::Unsupported => unsupported.push(case.name),
                Outcome::Wrong(_, reason) => wrong.push(format!("{}: {reason}", case.name)),
            }
        }
        eprintln!("{info}: {} variants in {:?}", seen.len(), begin.elapsed());
        assert!(wrong.is_empty(), "{info}:\n{}", wrong.join("\n"));
        assert!(unsupported.is_empty(), "{info}: {unsupported:?}");
        let forms: BTreeSet<(&str, &str)> = seen
            .iter()
            .flat_map(|variant| {
                let forms = variant.forms.iter().map(String::as_str).chain([""]);
                forms.map(|form| (variant.template.as_str(), form))
            })
            .collect();
        for permutation in permutations::all() {
            let template = permutation.template.trim_end_matches(".wgsl");
            for form in permutation.options.defines().chain([""]) {
                let dot = form == "PACKED_DOT" && !info.packed_dot;
                assert!(
                    dot || forms.contains(&(template, form)),
                    "no case has {template} with {form}"
                );
            }
        }
    }
}

/// A wrong form that kernels can be made without is found and left out, alone, and results are right then.
#[test]
fn a_wrong_form_is_named_and_left_out() {
    for (gpu, adapter) in opened().into_iter().take(1) {
        // Four neighbours of a product are stored in the wrong order.
        let feigned = fault(|variant, source| {
            let applies = variant.template == "matmul" && variant.forms.contains("QUADS");
            if applies {
                source.replace(", values.x, values.y,", ", values.y, values.x,")
            } else {
                source
            }
        });
        let examined = tested(gpu, adapter, feigned.clone()).unwrap();
        let report = examined.report.clone().unwrap();
        let found: Vec<(&str, Remedy)> =
            report.findings.iter().map(|finding| (&*finding.kernel, finding.remedy)).collect();
        assert_eq!(found, [("matmul with QUADS", Remedy::LeftOut)]);
        let device = device_of(examined, feigned);
        check_product(&device);
    }
}

/// Where tiles are wrong as a whole, the planner is told that the device has none.
#[test]
fn wrong_tiles_leave_products_to_reductions() {
    for (gpu, adapter) in opened().into_iter().take(1) {
        let feigned = fault(|variant, source| {
            let applies = variant.template == "matmul";
            if applies { source.replace("vec4<f32>(a0.x)", "vec4<f32>(a0.y)") } else { source }
        });
        let examined = tested(gpu, adapter, feigned.clone()).unwrap();
        assert!(!examined.verdict.may("matmul", "TILES"), "{:?}", examined.report);
        let device = device_of(examined, feigned);
        let backend: &WgpuBackend = device.backend().as_any().downcast_ref().unwrap();
        assert_eq!(backend.limits().products.unwrap().narrow_max, usize::MAX);
        check_product(&device);
    }
}

/// A wrong kernel that nothing stands in for is an error by name; what is like it but right goes on.
#[test]
fn a_wrong_kernel_is_refused_by_name() {
    for (gpu, adapter) in opened().into_iter().take(1) {
        let feigned = fault(|variant, source| {
            let applies = variant.template == "scan";
            if applies { source.replace("let k = step;", "let k = step / 2u;") } else { source }
        });
        let examined = tested(gpu, adapter, feigned.clone()).unwrap();
        let findings = &examined.report.as_ref().unwrap().findings;
        let refused = |finding: &Finding| {
            let Finding { kernel, remedy, .. } = finding;
            *remedy == Remedy::Refused && kernel.contains("scan") && !kernel.contains("REVERSE")
        };
        assert!(!findings.is_empty() && findings.iter().all(refused), "{findings:?}");
        let device = device_of(examined, feigned);
        for case in cases::all().iter().filter(|case| case.name.starts_with("scan of f32")) {
            let outcome = case.run(&device);
            let fits = match case.name.ends_with("reverse true") {
                true => outcome.is_right(),
                false => matches!(outcome, Outcome::Unsupported),
            };
            assert!(fits, "{}", case.name);
        }
        let sums = Tensor::ones([5, 20], DType::F32, &device).cumsum(1);
        let error = sums.eval().unwrap_err();
        assert!(error.is_unsupported(), "{error}");
        let message = error.to_string();
        for part in ["cumsum", "self_test/tests.rs", "`scan of f32`", "self-test"] {
            assert!(message.contains(part), "no {part} in: {message}");
        }
    }
}

/// A driver that gives a device up once is asked again.
#[test]
fn a_lost_device_is_opened_anew() {
    for (gpu, adapter) in opened().into_iter().take(1) {
        let lost = Arc::clone(&gpu);
        let feigned = fault(move |variant, source| {
            if variant.template == "gather" {
                lost.device.destroy();
            }
            source
        });
        let examined = tested(gpu, adapter, feigned).unwrap();
        assert_eq!(examined.report.as_ref().unwrap().findings, []);
        assert!(!examined.gpu.is_lost());
        check_product(&device_of(examined, None));
    }
}

/// Devices that are opened by name have been tested, now or before.
#[test]
fn opened_devices_carry_their_report() {
    if std::env::var("GRADLOOM_SELF_TEST").is_ok_and(|when| when == "off") {
        eprintln!("SKIPPED: GRADLOOM_SELF_TEST=off");
        return;
    }
    if opened().is_empty() {
        return;
    }
    let device = crate::device("vulkan").unwrap();
    let backend: &WgpuBackend = device.backend().as_any().downcast_ref().unwrap();
    let report = backend.self_test().unwrap();
    assert_eq!((report.cases, &report.findings[..]), (cases::all().len(), &[][..]));
}
