//! The machine's own CPU, memory, disks and network, recorded through the client crate.
//!
//! | metric | tags | unit |
//! |---|---|---|
//! | `sys.cpu.utilization` | | percent of all cores, as Atlas's agents report it |
//! | `sys.load` | | processes that run or want to, over a minute |
//! | `sys.mem.used`, `sys.mem.available`, `sys.mem.total`, `sys.swap.used` | | bytes |
//! | `sys.disk.free`, `sys.disk.total` | `mount` | bytes |
//! | `sys.disk.bytes` | `mount`, `id`: read, write | bytes a second |
//! | `sys.net.bytes`, `sys.net.errors` | `iface`, `id`: in, out | bytes, packets a second |

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use hesper_client::{Error, Id, Registry};
use sysinfo::{CpuRefreshKind, Disks, MemoryRefreshKind, Networks, RefreshKind, System};

/// More disks or interfaces than this are left out: container hosts have hundreds.
const MAX_DEVICES: usize = 16;

/// Reads the machine.
pub struct Host {
    registry: Registry,
    system: System,
    disks: Disks,
    networks: Networks,
}

impl Host {
    /// The machine that this runs on, reported at each step.
    ///
    /// # Errors
    /// When the client refuses the step.
    pub fn new(step: Duration) -> Result<Self, Error> {
        let name = System::host_name().unwrap_or_else(|| "localhost".to_owned());
        let registry = Registry::builder()
            .common_tag("nf.app", "host")
            .common_tag("nf.node", &name)
            .step(step)
            .build()?;
        let what = RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing().with_cpu_usage())
            .with_memory(MemoryRefreshKind::everything());
        Ok(Self {
            registry,
            system: System::new_with_specifics(what),
            disks: Disks::new_with_refreshed_list(),
            networks: Networks::new_with_refreshed_list(),
        })
    }

    /// The registry, to be published.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Reads everything once; counters get what has come since the last time. Takes some milliseconds.
    pub fn read(&mut self) {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        self.disks.refresh(true);
        self.networks.refresh(true);
        let gauge = |name: &str, value: f64| self.registry.gauge(name).set(value);
        gauge(
            "sys.cpu.utilization",
            f64::from(self.system.global_cpu_usage()),
        );
        gauge("sys.load", System::load_average().one);
        gauge("sys.mem.used", self.system.used_memory() as f64);
        gauge("sys.mem.available", self.system.available_memory() as f64);
        gauge("sys.mem.total", self.system.total_memory() as f64);
        gauge("sys.swap.used", self.system.used_swap() as f64);
        self.read_disks();
        self.read_networks();
    }

    fn read_disks(&self) {
        // The same disk is often mounted several times.
        let mut seen = BTreeSet::new();
        let disks = self.disks.list().iter();
        let disks = disks.filter(|d| d.total_space() > 0 && seen.insert(d.name()));
        for disk in disks.take(MAX_DEVICES) {
            let mount = mount_name(disk.mount_point());
            let id = |name: &str| Id::new(name).with_tag("mount", &mount);
            let gauge = |name: &str, value: u64| self.registry.gauge(id(name)).set(value as f64);
            gauge("sys.disk.free", disk.available_space());
            gauge("sys.disk.total", disk.total_space());
            let usage = disk.usage();
            for (way, bytes) in [("read", usage.read_bytes), ("write", usage.written_bytes)] {
                let id = id("sys.disk.bytes").with_tag("id", way);
                self.registry.counter(id).add(bytes);
            }
        }
    }

    fn read_networks(&self) {
        let is_used = |n: &sysinfo::NetworkData| n.total_received() + n.total_transmitted() > 0;
        let mut networks: Vec<_> = self.networks.iter().filter(|(_, n)| is_used(n)).collect();
        // In the same order each time, so that the same ones are left out.
        networks.sort_by_key(|(name, _)| name.as_str());
        for (name, network) in networks.into_iter().take(MAX_DEVICES) {
            let counter = |metric: &str, way: &str| {
                let id = Id::new(metric).with_tags([("iface", name.as_str()), ("id", way)]);
                self.registry.counter(id)
            };
            counter("sys.net.bytes", "in").add(network.received());
            counter("sys.net.bytes", "out").add(network.transmitted());
            counter("sys.net.errors", "in").add(network.errors_on_received());
            counter("sys.net.errors", "out").add(network.errors_on_transmitted());
        }
    }
}

/// A mount point as the value of a tag, in which there are no slashes.
fn mount_name(path: &Path) -> String {
    let parts = path.components().filter_map(|c| match c {
        std::path::Component::Normal(part) => Some(part.to_string_lossy()),
        _ => None,
    });
    let name = parts.collect::<Vec<_>>().join("-");
    if name.is_empty() {
        return "root".to_owned();
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_become_tags() {
        assert_eq!(mount_name(Path::new("/")), "root");
        assert_eq!(mount_name(Path::new("/var/lib/data")), "var-lib-data");
    }

    #[test]
    fn the_machine_has_memory_and_a_load() {
        let mut host = Host::new(Duration::from_secs(5)).expect("a step");
        host.read();
        let values = host.registry().current_values();
        let value = |name: &str| {
            let found = values.iter().find(|v| v.series().tag("name") == Some(name));
            found.map(|v| v.value())
        };
        let total = value("sys.mem.total").expect("reported");
        let available = value("sys.mem.available").expect("reported");
        assert!(total > 0.0 && available <= total);
        assert!(value("sys.cpu.utilization").is_some_and(|v| (0.0..=100.0).contains(&v)));
    }
}
