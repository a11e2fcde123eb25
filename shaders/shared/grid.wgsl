// Grids are folded into two dimensions, since no dimension may exceed 65,535 workgroups. Templates
// work with the linear number of a workgroup and leave when it is not below `GROUPS`.

fn gl_group(workgroup: vec3<u32>) -> u32 {
    return workgroup.y * GRID_X + workgroup.x;
}
