# A stand-in for programs of Fortran: settings in a namelist, a printed table with D exponents.
/=/ { gsub(/[ ,]/, ""); split($0, part, "="); settings[tolower(part[1])] = part[2] }
END {
    print " iter   residual      energy"
    print " ----------------------------"
    residual = 1
    for (iter = 1; iter <= settings["maxiter"]; iter++) {
        residual *= 1 - settings["relax"]
        text = sprintf("%5d  %.4E  %.4E", iter, residual, -76 + residual)
        gsub(/E/, "D", text)
        print text
    }
    print settings["restart"] == ".true." ? " restarted" : " from nothing"
}
